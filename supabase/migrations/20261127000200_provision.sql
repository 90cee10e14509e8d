-- Machines that we made at a provider for a toolbox: a droplet of the user's own account.
--
-- A provider is asked for a machine once. Whoever asks holds the row for a while (busy_until) under a number (attempt)
-- that each later step must name; after an answer that was lost, the next attempt looks for the machine before it asks.

create table app.machine (
  toolbox_id uuid primary key references app.toolbox (id) on delete cascade,
  owner uuid not null references auth.users (id) on delete cascade,
  provider text not null check (provider in ('digitalocean')),
  region text not null check (region ~ '^[a-z0-9-]{1,40}$'),
  size text not null check (size ~ '^[a-z0-9_-]{1,60}$'),
  -- What the provider calls it; null until its answer has come.
  machine_id text check (machine_id ~ '^[A-Za-z0-9-]{1,60}$'),
  attempt integer not null default 0,
  busy_until timestamptz,
  -- It is to be destroyed, so it is not asked for again.
  ending boolean not null default false,
  created_at timestamptz not null default now()
);
create index on app.machine (owner);

create policy user_own on app.machine for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));

-- Longer than one attempt may take, with time for the provider to list what it has made.
create function app.machine_lease() returns interval
language sql immutable set search_path = '' as $$ select interval '90 seconds' $$;

create function app.machine_json(machine app.machine) returns jsonb
language sql stable set search_path = '' as $$
  select case when machine.toolbox_id is not null then jsonb_build_object(
    'provider', machine.provider, 'region', machine.region, 'size', machine.size, 'id', machine.machine_id) end
$$;

-- The provider's token, as api.credential_release gives a server's secrets: only what was audited comes out. No server can
-- be called as the colon has it, so none is ever given this credential.
create function app.machine_credential(provider text, toolbox uuid, otherwise text default '') returns jsonb
language plpgsql set search_path = '' as $$
declare
  held_at text := 'provider:' || provider;
  wanted text := upper(provider) || '_TOKEN';
  held app.credential;
  tenant_key app.tenant_key;
  released jsonb;
begin
  select * into held from app.credential c
    where c.owner = auth.uid() and c.server = held_at and c.key = wanted
      and (c.expires_at is null or c.expires_at > now());
  if not found then
    raise exception using errcode = 'PT422', message = 'The vault has no token for this provider.',
      hint = format('Store one with POST /api/vault/credentials, server "%s" and key "%s"%s.', held_at, wanted, otherwise);
  end if;
  with written as (
    insert into app.access (owner, action, credential_id, server, key, by)
      values (held.owner, 'release', held.id, held.server, held.key, 'provision:' || toolbox)
      returning credential_id
  )
  select jsonb_agg(jsonb_build_object('id', held.id, 'key', held.key, 'version', v.version,
      'expires_at', held.expires_at, 'data_key', v.data_key, 'value', v.value))
    into released
    from written join app.credential_version v on v.credential_id = written.credential_id and v.version = held.version;
  select * into tenant_key from app.tenant_key t where t.tenant = held.owner;
  return jsonb_build_object(
    'tenant', held.owner, 'tenant_key', app.tenant_key_json(tenant_key), 'minimum', (select minimum from app.wrapping),
    'credentials', coalesce(released, '[]'), 'missing', '[]'::jsonb);
end
$$;

-- The row, locked, when nobody else is at it.
create function app.machine_take(box_id uuid) returns app.machine
language plpgsql set search_path = '' as $$
declare
  held app.machine;
begin
  select * into held from app.machine m where m.toolbox_id = box_id for update;
  if held.busy_until > now() then
    raise exception using errcode = 'PT409', message = 'This toolbox''s machine is being made or destroyed.',
      hint = 'Try again in two minutes.';
  end if;
  return held;
end
$$;

-- A new toolbox with a machine to come, or the next attempt at one of the same name, region and size. `released` is null
-- when the machine is there already.
create function api.machine_begin(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box uuid;
  held app.machine;
begin
  select t.id into box from app.toolbox t join app.machine m on m.toolbox_id = t.id where t.name = btrim($1->>'name');
  if found then
    select * into held from app.machine m where m.toolbox_id = box for update;
    if (held.provider, held.region, held.size) is distinct from ($1->>'provider', $1->>'region', $1->>'size') then
      raise exception using errcode = 'PT409', message = 'You have a toolbox of this name, on another kind of machine.',
        hint = 'Choose another name, or delete the other toolbox first.';
    end if;
    if held.machine_id is null then
      held := app.machine_take(box);
      if held.ending then
        raise exception using errcode = 'PT409', message = 'You have a toolbox of this name, which is to be deleted.',
          hint = 'Delete it again with DELETE /api/toolboxes/{id}, or choose another name.';
      end if;
    end if;
  else
    box := (api.toolbox_create(jsonb_build_object('name', $1->>'name'))->>'id')::uuid;
    insert into app.machine (toolbox_id, owner, provider, region, size)
      values (box, auth.uid(), $1->>'provider', $1->>'region', $1->>'size')
      returning * into held;
  end if;
  if held.machine_id is null then
    update app.machine m set attempt = m.attempt + 1, busy_until = now() + app.machine_lease()
      where m.toolbox_id = box returning * into held;
  end if;
  return jsonb_build_object('toolbox_id', box, 'attempt', held.attempt, 'machine', app.machine_json(held),
    'released', case when held.machine_id is null then app.machine_credential(held.provider, box) end);
end
$$;

-- The enrolment token of the machine that is about to be asked for. An earlier one is good for nothing from now on.
create function api.machine_arm(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box uuid := ($1->>'toolbox_id')::uuid;
begin
  perform 1 from app.machine m where m.toolbox_id = box and m.attempt = ($1->>'attempt')::integer
    and m.machine_id is null and not m.ending and m.busy_until > now() for update;
  if found then
    update app.toolbox t set enrolment_hash = $1->>'token_hash', enrolment_expires_at = now() + interval '1 hour'
      where t.id = box and t.public_key is null;
  end if;
  if not found then
    raise exception using errcode = 'PT409', message = 'This toolbox''s machine was made, and is not there any more.',
      hint = 'Delete the toolbox and make a new one.';
  end if;
  update app.machine m set busy_until = now() + app.machine_lease() where m.toolbox_id = box;
  return jsonb_build_object('id', box);
end
$$;

-- Ends an attempt: with the machine's id, or without when it is certain that the provider is asked for nothing any more.
create function api.machine_settle(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  update app.machine m set machine_id = coalesce($1->>'machine_id', m.machine_id), busy_until = null
    where m.toolbox_id = ($1->>'toolbox_id')::uuid and m.attempt = ($1->>'attempt')::integer;
  return to_jsonb(found);
end
$$;

-- Holds the machine for its end. Null: this toolbox's machine is none of ours.
create function api.machine_end(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box uuid := ($1->>'toolbox_id')::uuid;
  held app.machine;
begin
  if not exists (select from app.toolbox t where t.id = box) then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'List your toolboxes with GET /api/toolboxes.';
  end if;
  held := app.machine_take(box);
  if held.toolbox_id is null then
    return null;
  end if;
  update app.machine m set attempt = m.attempt + 1, busy_until = now() + app.machine_lease(), ending = true
    where m.toolbox_id = box returning * into held;
  return jsonb_build_object('toolbox_id', box, 'attempt', held.attempt, 'machine', app.machine_json(held),
    'released', app.machine_credential(held.provider, box, ', or keep the machine: DELETE /api/toolboxes/{id}?keep_machine=true'));
end
$$;

-- A machine costs money: its toolbox is not forgotten before it is gone (`attempt`), or its user says that it stays.
create or replace function api.toolbox_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox := app.toolbox_lock(($1->>'id')::uuid);
  held app.machine;
begin
  select * into held from app.machine m where m.toolbox_id = box.id for update;
  if found and held.attempt is distinct from ($1->>'attempt')::integer then
    held := app.machine_take(box.id);
    if not coalesce(($1->>'keep_machine')::boolean, false) then
      raise exception using errcode = 'PT409', message = 'This toolbox has a machine at a provider.',
        hint = 'Delete it with DELETE /api/toolboxes/{id}, which destroys the machine too.';
    end if;
  end if;
  delete from app.toolbox where id = box.id;
  return jsonb_build_object('id', box.id);
end
$$;

create or replace function api.toolbox_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.toolbox_json(box) || jsonb_build_object('machine', app.machine_json(m))
      order by box.created_at, box.id), '[]')
    from app.toolbox box left join app.machine m on m.toolbox_id = box.id
$$;

create or replace function api.toolbox_get(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  box app.toolbox;
  held app.machine;
begin
  select * into box from app.toolbox where id = ($1->>'id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'List your toolboxes with GET /api/toolboxes.';
  end if;
  select * into held from app.machine m where m.toolbox_id = box.id;
  return app.toolbox_json(box) || jsonb_build_object('machine', app.machine_json(held));
end
$$;

grant execute on function api.machine_begin(jsonb), api.machine_arm(jsonb), api.machine_settle(jsonb), api.machine_end(jsonb)
  to authenticated;

call gate.adopt();
