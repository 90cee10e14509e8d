-- What Supabase provides and a plain Postgres does not: roles, schemas, auth.users and the functions that read the claims.
-- Runs as a superuser, in one transaction; every statement may run again. Shapes as in Supabase's own images, as far as
-- the migrations and the local account service use them.

do $$
declare
  made record;
begin
  for made in
    select * from (values
      ('anon', 'nologin'),
      ('authenticated', 'nologin'),
      ('service_role', 'nologin bypassrls'),
      ('authenticator', 'login noinherit'),
      ('supabase_auth_admin', 'nologin noinherit createrole'),
      -- The role that migrates: no superuser, as on Supabase.
      ('postgres', 'login createrole createdb bypassrls')
    ) as role (name, options)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = made.name) then
      execute format('create role %I %s', made.name, made.options);
    end if;
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
-- From Postgres 16 on CREATEROLE reaches only roles that one may administer; Supabase grants the same there.
grant anon, authenticated, service_role, authenticator to postgres with admin option;

do $$
begin
  -- A new role's own database is the one that it may fill.
  execute format('grant all on database %I to postgres', current_database());
end
$$;
grant all on schema public to postgres;

create schema if not exists extensions;
grant usage on schema extensions to public, anon, authenticated, service_role;
grant all on schema extensions to postgres;
-- Not a trusted extension: only a superuser can create it, and Supabase does it for `postgres`.
create extension if not exists vector with schema extensions;

create schema if not exists auth authorization supabase_auth_admin;
grant usage on schema auth to anon, authenticated, service_role, postgres;

create table if not exists auth.users (
  instance_id uuid,
  id uuid not null primary key,
  aud varchar(255),
  role varchar(255),
  email varchar(255),
  encrypted_password varchar(255),
  email_confirmed_at timestamptz,
  last_sign_in_at timestamptz,
  raw_app_meta_data jsonb,
  raw_user_meta_data jsonb,
  is_super_admin boolean,
  created_at timestamptz,
  updated_at timestamptz,
  phone text unique default null,
  phone_confirmed_at timestamptz,
  confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
  banned_until timestamptz,
  deleted_at timestamptz,
  is_sso_user boolean not null default false,
  is_anonymous boolean not null default false
);
create unique index if not exists users_email_partial_key on auth.users (email) where (is_sso_user = false);
alter table auth.users owner to supabase_auth_admin;
grant select, insert, update, delete, references, trigger on auth.users to postgres;

create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
  )::uuid
$$;

create or replace function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
  )::text
$$;

create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

alter function auth.uid() owner to supabase_auth_admin;
alter function auth.role() owner to supabase_auth_admin;
alter function auth.jwt() owner to supabase_auth_admin;
grant execute on function auth.uid(), auth.role(), auth.jwt() to public;
