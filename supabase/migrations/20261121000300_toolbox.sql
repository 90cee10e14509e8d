-- Toolboxes: a user's machines, what should run on them, and what they say runs.
--
-- Desired state is not stored twice: it is the rows of app.server, and toolbox.generation counts their changes. Whoever
-- changes a row that the toolbox must act upon calls app.toolbox_bump in the same transaction.

create table app.toolbox (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  name text not null check (length(name) between 1 and 60),
  -- What the last sweep or check-in made of it; app.toolbox_state says what it is at this moment.
  state text not null default 'pending' check (state in ('pending', 'online', 'late', 'offline')),
  created_at timestamptz not null default now(),
  -- SHA-256 of the enrolment token, hex; null once used.
  enrolment_hash text unique,
  enrolment_expires_at timestamptz,
  -- Ed25519, base64url; null until enrolled.
  public_key text,
  gateway text,
  version text,
  trouble text,
  docker boolean,
  boot_id text,
  -- Boots before this one: a late message of theirs is not recorded.
  retired_boots text[] not null default '{}',
  sequence bigint not null default 0,
  last_seen_at timestamptz,
  generation bigint not null default 0,
  applied_generation bigint not null default 0,
  revocation_sequence bigint not null default 0,
  unique (owner, name)
);

create table app.server (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  toolbox_id uuid not null references app.toolbox (id) on delete cascade,
  name text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  catalog_name text,
  source jsonb not null,
  args text[] not null default '{}',
  -- Plain settings; a secret's value is in the vault and its name in `secrets`.
  env jsonb not null default '{}',
  secrets text[] not null default '{}',
  hosts text[] not null default '{}',
  revision integer not null default 0,
  -- Deployed by its user directly, not only for an agent; such a server stays when its agents go.
  deployed boolean not null default false,
  -- As the toolbox last reported it, without the tools.
  status jsonb not null default '{}',
  -- When its tools were first listed: those are what a grant of `*` means.
  listed_at timestamptz,
  -- Not now(): the servers of one agent keep the order in which they were asked for.
  created_at timestamptz not null default clock_timestamp(),
  unique (toolbox_id, name)
);
create index on app.server (owner);

create table app.server_tool (
  server_id uuid not null references app.server (id) on delete cascade,
  owner uuid not null references auth.users (id) on delete cascade,
  toolbox_id uuid not null references app.toolbox (id) on delete cascade,
  name text not null,
  -- Pinned: the definition that its user has accepted, by deploying the server or by granting the tool since.
  digest text not null,
  definition jsonb not null,
  class text not null check (class in ('read', 'write', 'destructive', 'egress', 'exec')),
  -- As the server lists it now. While the two digests differ, nothing may call it.
  seen_digest text not null,
  seen_definition jsonb not null,
  seen_class text not null check (seen_class in ('read', 'write', 'destructive', 'egress', 'exec')),
  listed boolean not null default true,
  -- Covered by a grant of `*`.
  founding boolean not null,
  primary key (server_id, name)
);
create index on app.server_tool (owner);
create index on app.server_tool (toolbox_id);

-- The lowest epoch of an agent that is still good. Rows outlive their agent, and end a day after every capability
-- that they refuse has expired.
create table app.revocation (
  agent_id uuid primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  epoch bigint not null,
  created_at timestamptz not null default now()
);
create index on app.revocation (owner);
create index on app.revocation (created_at);

create policy user_own on app.toolbox for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.server for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.server_tool for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.revocation for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));

create policy toolbox_own on app.toolbox for all
  using ((select auth.role()) = 'toolbox' and id = (select app.toolbox_id()));
create policy toolbox_own on app.server for all
  using ((select auth.role()) = 'toolbox' and toolbox_id = (select app.toolbox_id()));
create policy toolbox_own on app.server_tool for all
  using ((select auth.role()) = 'toolbox' and toolbox_id = (select app.toolbox_id()));
create policy toolbox_read on app.revocation for select
  using ((select auth.role()) = 'toolbox' and owner = (select auth.uid()));

create policy service_all on app.toolbox for all using ((select auth.role()) = 'service');
create policy service_all on app.revocation for all using ((select auth.role()) = 'service');

-- Seconds between two check-ins.
create function app.checkin_interval() returns integer
language sql immutable set search_path = '' as $$ select 30 $$;

-- Late after two check-ins that did not come, offline after three; five seconds of grace for the network.
create function app.toolbox_state(box app.toolbox) returns text
language sql stable set search_path = '' as $$
  select case
    when box.public_key is null then 'pending'
    when box.last_seen_at > now() - make_interval(secs => 2 * app.checkin_interval() + 5) then 'online'
    when box.last_seen_at > now() - make_interval(secs => 3 * app.checkin_interval() + 5) then 'late'
    else 'offline'
  end
$$;

create function app.toolbox_json(box app.toolbox) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', box.id, 'name', box.name, 'state', app.toolbox_state(box), 'created_at', box.created_at,
    'last_seen_at', box.last_seen_at, 'gateway', box.gateway, 'generation', box.generation,
    'applied_generation', box.applied_generation, 'version', box.version, 'trouble', box.trouble)
$$;

-- Locks all toolboxes that the caller sees until the transaction ends. Changes of one user's desired state and
-- revocations queue up here, always in the same order, so that none waits for another in a circle.
create function app.toolbox_lock_all() returns void
language sql set search_path = '' as $$
  select id from app.toolbox order by id for update
$$;

create function app.toolbox_lock(box_id uuid) returns app.toolbox
language plpgsql set search_path = '' as $$
declare
  box app.toolbox;
begin
  perform app.toolbox_lock_all();
  select * into box from app.toolbox where id = box_id;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'List your toolboxes with GET /api/toolboxes.';
  end if;
  return box;
end
$$;

-- All that the caller could wake, after something was revoked.
create function app.toolbox_reachable() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'gateway', t.gateway)), '[]')
    from app.toolbox t where t.gateway is not null
$$;

create function app.toolbox_bump(box_id uuid) returns bigint
language sql set search_path = '' as $$
  update app.toolbox set generation = generation + 1 where id = box_id returning generation
$$;

create function api.toolbox_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  made uuid;
begin
  if (select count(*) from app.toolbox) >= 20 then
    raise exception using errcode = 'PT409', message = 'You have 20 toolboxes, which is the most.',
      hint = 'Delete one that you no longer use with DELETE /api/toolboxes/{id}.';
  end if;
  if length(coalesce(btrim($1->>'name'), '')) not between 1 and 60 then
    raise exception using errcode = 'PT422', message = 'A toolbox has a name of 1 to 60 characters.',
      hint = 'Send {"name": "…"}.';
  end if;
  insert into app.toolbox (owner, name, enrolment_hash, enrolment_expires_at)
    values (auth.uid(), btrim($1->>'name'), $1->>'token_hash', now() + interval '1 hour')
    on conflict (owner, name) do nothing
    returning id into made;
  if made is null then
    raise exception using errcode = 'PT409', message = 'You have a toolbox of this name.',
      hint = 'Choose another name, or delete the other toolbox first.';
  end if;
  return jsonb_build_object('id', made);
end
$$;

create function api.toolbox_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.toolbox_json(box) order by box.created_at, box.id), '[]') from app.toolbox box
$$;

create function api.toolbox_get(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  box app.toolbox;
begin
  select * into box from app.toolbox where id = ($1->>'id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'List your toolboxes with GET /api/toolboxes.';
  end if;
  return app.toolbox_json(box);
end
$$;

create function api.toolbox_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox := app.toolbox_lock(($1->>'id')::uuid);
begin
  delete from app.toolbox where id = box.id;
  return jsonb_build_object('id', box.id);
end
$$;

-- The token is good once: the row that has its hash loses it in the same statement.
create function api.toolbox_enrol(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox;
begin
  update app.toolbox set
      enrolment_hash = null, enrolment_expires_at = null, public_key = $1->>'public_key', gateway = $1->>'gateway',
      version = $1->>'version', state = 'online', last_seen_at = now()
    where enrolment_hash = $1->>'token_hash' and enrolment_expires_at > now()
    returning * into box;
  if not found then
    raise exception using errcode = 'PT403', message = 'This enrolment token is not good, or no longer.',
      hint = 'A token works once, within the hour: make a new toolbox with POST /api/toolboxes.';
  end if;
  return jsonb_build_object('toolbox_id', box.id, 'owner', box.owner);
end
$$;

create function api.toolbox_key(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  box app.toolbox;
begin
  select * into box from app.toolbox where id = ($1->>'id')::uuid and public_key is not null;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'Enrol the toolbox again.';
  end if;
  return jsonb_build_object('public_key', box.public_key, 'owner', box.owner);
end
$$;

grant execute on function api.toolbox_create(jsonb), api.toolbox_list(jsonb), api.toolbox_get(jsonb),
  api.toolbox_delete(jsonb) to authenticated;
grant execute on function api.toolbox_enrol(jsonb), api.toolbox_key(jsonb) to service;

call gate.adopt();
