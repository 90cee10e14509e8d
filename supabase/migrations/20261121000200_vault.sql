-- The vault's rows: ciphertext only. The hierarchy of keys and what each is bound to stand in shared/sealing.
--
-- What concerns servers and toolboxes (release, restart after a change) is in 20261121000600_release.sql.

-- One for each user; the data keys of the user's secrets are encrypted under it. Without its row they are lost for good.
create table app.tenant_key (
  tenant uuid primary key references auth.users (id) on delete cascade,
  id uuid not null unique,
  -- Which of the wrapping keys wrapped it; they count up.
  wrapping_key integer not null check (wrapping_key > 0),
  blob text not null check (length(blob) between 1 and 8192),
  updated_at timestamptz not null default now()
);
create index on app.tenant_key (wrapping_key);

-- One row: the oldest wrapping key that is still good. A tenant key that an older one wrapped is not read, so that an old
-- row that somebody puts back is of no use.
create table app.wrapping (
  single boolean primary key default true check (single),
  minimum integer not null default 1
);
insert into app.wrapping default values;

create table app.credential (
  id uuid primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  -- The catalog entry's name, or the server's short name when it came from nowhere.
  server text not null check (length(server) between 1 and 300),
  key text not null check (length(key) between 1 and 200),
  version integer not null check (version > 0),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (owner, server, key)
);
create index on app.credential (expires_at) where expires_at is not null;

-- Of each credential the newest version only: an older value that nobody may read any more is nothing but a risk.
create table app.credential_version (
  credential_id uuid not null references app.credential (id) on delete cascade,
  version integer not null,
  owner uuid not null references auth.users (id) on delete cascade,
  data_key jsonb not null check (length(data_key::text) <= 4096),
  value jsonb not null check (length(value::text) <= 131072),
  created_at timestamptz not null default now(),
  primary key (credential_id, version)
);
create index on app.credential_version (owner);

-- The audit. Nothing may change or remove a row but the end of its user's account.
create table app.access (
  id bigint generated always as identity primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  at timestamptz not null default clock_timestamp(),
  action text not null check (action in ('create', 'rotate', 'release', 'delete')),
  credential_id uuid not null,
  server text not null,
  key text not null,
  -- user:<id>, toolbox:<id> or service.
  by text not null
);
create index on app.access (owner, id desc);

create policy user_own on app.tenant_key for select
  using ((select auth.role()) = 'authenticated' and tenant = (select auth.uid()));
create policy user_add on app.tenant_key for insert
  with check ((select auth.role()) = 'authenticated' and tenant = (select auth.uid()));
create policy service_read on app.tenant_key for select using ((select auth.role()) = 'service');
create policy service_rewrap on app.tenant_key for update using ((select auth.role()) = 'service');

create policy everybody_read on app.wrapping for select using (true);
create policy service_raise on app.wrapping for update using ((select auth.role()) = 'service');

create policy user_own on app.credential for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.credential_version for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy service_read on app.credential for select using ((select auth.role()) = 'service');
create policy service_expire on app.credential for delete
  using ((select auth.role()) = 'service' and expires_at <= now());

create policy user_read on app.access for select
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy own_add on app.access for insert
  with check ((select auth.role()) in ('authenticated', 'toolbox') and owner = (select auth.uid()));
create policy service_add on app.access for insert with check ((select auth.role()) = 'service');

create function app.credential_json(credential app.credential) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', credential.id, 'server', credential.server, 'key', credential.key, 'version', credential.version,
    'created_at', credential.created_at, 'updated_at', credential.updated_at, 'expires_at', credential.expires_at)
$$;

create function app.tenant_key_json(held app.tenant_key) returns jsonb
language sql stable set search_path = '' as $$
  select case when held.id is not null then jsonb_build_object('id', held.id, 'tenant', held.tenant,
    'wrapped', jsonb_build_object('key', held.wrapping_key, 'blob', held.blob)) end
$$;

-- Which id and number a new version will have, and the key to encrypt it under. Writes nothing.
create function api.credential_prepare(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  held app.credential;
  tenant_key app.tenant_key;
begin
  if $1 ? 'id' then
    select * into held from app.credential c
      where c.id = ($1->>'id')::uuid and (c.expires_at is null or c.expires_at > now());
    if not found then
      raise exception using errcode = 'PT404', message = 'There is no such credential.',
        hint = 'List yours with GET /api/vault/credentials.';
    end if;
  else
    if length(coalesce($1->>'server', '')) not between 1 and 300 or $1->>'server' ~ '[[:cntrl:]]'
      or length(coalesce($1->>'key', '')) not between 1 and 200 or $1->>'key' ~ '[[:cntrl:]]'
    then
      raise exception using errcode = 'PT422', message = 'A credential is for a server and has a key, both in plain characters.',
        hint = 'Use the server''s name in the catalog and the name of its variable.';
    end if;
    select * into held from app.credential c
      where c.owner = auth.uid() and c.server = $1->>'server' and c.key = $1->>'key';
    if not found and (select count(*) from app.credential) >= 500 then
      raise exception using errcode = 'PT409', message = 'You have 500 credentials, which is the most.',
        hint = 'Delete some that you no longer use with DELETE /api/vault/credentials/{id}.';
    end if;
  end if;
  select * into tenant_key from app.tenant_key t where t.tenant = auth.uid();
  return jsonb_build_object(
    'id', coalesce(held.id, gen_random_uuid()), 'server', coalesce(held.server, $1->>'server'),
    'key', coalesce(held.key, $1->>'key'), 'version', coalesce(held.version, 0) + 1, 'expires_at', held.expires_at,
    'tenant', auth.uid(), 'tenant_key', app.tenant_key_json(tenant_key),
    'minimum', (select minimum from app.wrapping));
end
$$;

create function api.credential_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.credential_json(c) order by c.server, c.key), '[]') from app.credential c
    where c.expires_at is null or c.expires_at > now()
$$;

create function api.access_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('at', a.at, 'action', a.action, 'credential_id', a.credential_id,
      'server', a.server, 'key', a.key, 'by', a.by) order by a.id desc), '[]')
    from (select * from app.access order by id desc limit least(greatest(($1->>'limit')::integer, 1), 1000)) a
$$;

-- Ends what has expired: the rows go, the audit says so.
create function api.credential_expire(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  ended integer;
begin
  with gone as (
    delete from app.credential where expires_at <= now() returning *
  ), written as (
    insert into app.access (owner, action, credential_id, server, key, by)
      select owner, 'delete', id, server, key, 'service' from gone returning 1
  )
  select count(*) into ended from written;
  return jsonb_build_object('credentials', ended);
end
$$;

create function api.tenant_key_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.tenant_key_json(t)), '[]')
    from (select * from app.tenant_key where wrapping_key < ($1->>'below')::integer
      order by wrapping_key, tenant limit ($1->>'limit')::integer) t
$$;

-- True when the row is still as it was read. A key that is no longer good wraps nothing new.
create function api.tenant_key_rewrap(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  update app.tenant_key t set
      wrapping_key = ($1->'wrapped'->>'key')::integer, blob = $1->'wrapped'->>'blob', updated_at = now()
    where t.id = ($1->'held'->>'id')::uuid and t.wrapping_key = ($1->'held'->'wrapped'->>'key')::integer
      and t.blob = $1->'held'->'wrapped'->>'blob'
      and ($1->'wrapped'->>'key')::integer >= (select minimum from app.wrapping);
  return to_jsonb(found);
end
$$;

-- Held, shared, by who adds a tenant key, and alone by who raises the minimum.
create function app.wrapping_lock() returns bigint
language sql immutable set search_path = '' as $$ select 8317105340192384 $$;

-- True when no tenant key is wrapped by an older key, and none can be from now on.
create function api.wrapping_raise(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  lowest integer := ($1->>'minimum')::integer;
begin
  -- Who adds a tenant key waits for us, or we for them.
  perform pg_advisory_xact_lock(app.wrapping_lock());
  if exists (select from app.tenant_key where wrapping_key < lowest) then
    return to_jsonb(false);
  end if;
  update app.wrapping set minimum = greatest(minimum, lowest);
  return to_jsonb(true);
end
$$;

grant execute on function api.credential_prepare(jsonb), api.credential_list(jsonb), api.access_list(jsonb)
  to authenticated;
grant execute on function api.credential_expire(jsonb), api.tenant_key_list(jsonb), api.tenant_key_rewrap(jsonb),
  api.wrapping_raise(jsonb) to service;

call gate.adopt();
