-- What every other migration stands on: roles, schemas, the gate.
--
-- How the migrations that follow are written:
--   * tables in `app`, one function per operation in `api`: `api.noun_verb(jsonb) returns jsonb`, its one parameter unnamed,
--     `security definer set search_path = ''`; `grant execute ... to authenticated | toolbox | service | anon` per function;
--   * policies on app.* say `(select auth.uid())`, `(select auth.role())`, `(select app.toolbox_id())`; their columns are indexed;
--   * the last statement is `call gate.adopt();`: it gives what was made to agentopia_owner, forces row-level security
--     on every table of app and takes from public what Postgres gives to public;
--   * a refusal is `raise exception using errcode = 'PT404', message = ..., hint = <what to do>`
--     (PT400, PT403, PT404, PT409, PT422, PT429).
--
-- Runs as Supabase's `postgres` (no superuser, CREATEROLE) on Postgres 15 to 18, and as a superuser.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;

-- Roles belong to the cluster, not to this database: another database may have made them.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'agentopia_owner') then
    create role agentopia_owner nologin;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'toolbox') then
    create role toolbox nologin;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'service') then
    create role service nologin;
  end if;
  -- The direct door's login. It owns nothing, inherits nothing and has no password until an operator gives it one.
  if not exists (select from pg_catalog.pg_roles where rolname = 'agentopia_login') then
    create role agentopia_login login noinherit;
    alter role agentopia_login set statement_timeout = '15s';
    alter role agentopia_login set lock_timeout = '5s';
    alter role agentopia_login set idle_in_transaction_session_timeout = '15s';
  end if;
exception
  when duplicate_object or unique_violation then null;
end
$$;

-- The migrating role acts for the owner; the owner may use schemas `auth` and `extensions` as anon may.
grant agentopia_owner to current_user;
grant anon to agentopia_owner;
grant toolbox, service to authenticator;
grant anon, authenticated, toolbox, service to agentopia_login;

create schema app;
create schema api;
create schema gate;
grant create, usage on schema app, api, gate to agentopia_owner;
alter schema app owner to agentopia_owner;
alter schema api owner to agentopia_owner;
alter schema gate owner to agentopia_owner;
grant usage on schema api to anon, authenticated, toolbox, service;
grant usage on schema gate to agentopia_login, authenticator;

alter default privileges revoke execute on functions from public;
alter default privileges for role agentopia_owner revoke execute on functions from public;

-- The toolbox that calls, or null when the caller is none.
create function app.toolbox_id() returns uuid
language sql stable set search_path = ''
as $$
  select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'toolbox_id')::uuid
$$;

-- The direct door: one call is one transaction with its caller's role and claims, which end with the transaction.
-- It runs as its invoker: nobody becomes a role that the login was not granted.
create function gate.call(claims jsonb, function text, arguments jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  role text := claims ->> 'role';
  result jsonb;
begin
  if role is null or role not in ('anon', 'authenticated', 'toolbox', 'service')
    or (role in ('authenticated', 'toolbox') and claims ->> 'sub' is null)
    or (role = 'toolbox') <> (claims ->> 'toolbox_id' is not null)
  then
    raise exception using errcode = 'PT403', message = 'these claims name no caller', hint = 'Sign in again.';
  end if;
  perform set_config('request.jwt.claims', claims::text, true);
  perform set_config('role', role, true);
  execute format('select api.%I($1)', function) into result using arguments;
  return result;
end
$$;

-- Gives everything in app, api and gate to agentopia_owner and closes what Postgres leaves open.
create procedure gate.adopt()
language plpgsql set search_path = ''
as $$
declare
  made record;
begin
  for made in
    select c.oid::regclass as name, c.relkind as kind, n.nspname as schema
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('app', 'api', 'gate') and c.relkind in ('r', 'p', 'v', 'm')
  loop
    execute format('alter table %s owner to agentopia_owner', made.name);
    if made.schema = 'app' and made.kind in ('r', 'p') then
      execute format('alter table %s enable row level security, force row level security', made.name);
    end if;
  end loop;
  for made in
    select c.oid::regclass as name
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('app', 'api', 'gate') and c.relkind = 'S'
       and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
  loop
    execute format('alter sequence %s owner to agentopia_owner', made.name);
  end loop;
  for made in
    select t.oid::regtype as name
      from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
     where n.nspname in ('app', 'api', 'gate') and t.typtype in ('d', 'e')
  loop
    execute format('alter type %s owner to agentopia_owner', made.name);
  end loop;
  for made in
    select p.oid::regprocedure as name
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('app', 'api', 'gate')
  loop
    execute format('alter routine %s owner to agentopia_owner', made.name);
    execute format('revoke all on routine %s from public', made.name);
  end loop;
end
$$;

grant execute on function gate.call(jsonb, text, jsonb) to agentopia_login, authenticator;

call gate.adopt();
