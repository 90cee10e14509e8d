-- The local account service's tables, named as Supabase Auth names them, and the functions that are the only way to them.
-- Applied at each start; doing so again changes nothing. Hosted, Supabase Auth owns this schema and none of this exists.

do $$ begin
  create role agentopia_accounts nologin noinherit;
exception when duplicate_object or unique_violation then null;
end $$;

alter table auth.users
  add column if not exists aud text not null default 'authenticated',
  add column if not exists role text not null default 'authenticated',
  add column if not exists email text,
  add column if not exists encrypted_password text,
  add column if not exists email_confirmed_at timestamptz,
  add column if not exists last_sign_in_at timestamptz,
  add column if not exists raw_app_meta_data jsonb,
  add column if not exists raw_user_meta_data jsonb,
  add column if not exists created_at timestamptz default now(),
  add column if not exists updated_at timestamptz default now();
create unique index if not exists users_email_key on auth.users (lower(email));

create table if not exists auth.sessions (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  created_at timestamptz not null default now(),
  refreshed_at timestamptz
);
create index if not exists sessions_user_id_idx on auth.sessions (user_id);

-- A token is kept as its SHA-256. One that was used stays, so that its second use is noticed.
create table if not exists auth.refresh_tokens (
  hash text primary key,
  session_id uuid not null references auth.sessions (id) on delete cascade,
  created_at timestamptz not null default now(),
  used_at timestamptz
);
create index if not exists refresh_tokens_session_id_idx on auth.refresh_tokens (session_id);

revoke all on auth.users, auth.sessions, auth.refresh_tokens from public;
grant usage on schema auth, api to agentopia_accounts;
grant select, insert, update on auth.users to agentopia_accounts;
grant select, insert, update, delete on auth.sessions, auth.refresh_tokens to agentopia_accounts;

create or replace function auth.account_json(u auth.users) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', u.id, 'aud', u.aud, 'role', u.role, 'email', u.email, 'phone', '',
    'email_confirmed_at', u.email_confirmed_at, 'confirmed_at', u.email_confirmed_at,
    'last_sign_in_at', u.last_sign_in_at,
    'app_metadata', coalesce(u.raw_app_meta_data, '{"provider": "email", "providers": ["email"]}'),
    'user_metadata', coalesce(u.raw_user_meta_data, '{}'),
    'identities', '[]'::jsonb, 'is_anonymous', false,
    'created_at', u.created_at, 'updated_at', u.updated_at)
$$;

create or replace function api.account_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  account auth.users;
begin
  insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
    raw_user_meta_data, created_at, updated_at)
  values (($1->>'user_id')::uuid, 'authenticated', 'authenticated', $1->>'email', $1->>'password_hash', now(),
    '{"provider": "email", "providers": ["email"]}', coalesce($1->'metadata', '{}'), now(), now())
  returning * into account;
  return auth.account_json(account);
exception when unique_violation then
  raise exception using errcode = 'PT409', message = 'User already registered', hint = 'Sign in instead.';
end
$$;

create or replace function api.account_find(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  account auth.users;
begin
  select * into account from auth.users where lower(email) = lower($1->>'email');
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such account.', hint = 'Sign up first.';
  end if;
  return jsonb_build_object('user_id', account.id, 'password_hash', account.encrypted_password);
end
$$;

-- The account, if the session is still open.
create or replace function api.account_get(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  account auth.users;
begin
  select u.* into account from auth.users u join auth.sessions s on s.user_id = u.id
  where u.id = ($1->>'user_id')::uuid and s.id = ($1->>'session_id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'The session is over.', hint = 'Sign in again.';
  end if;
  return auth.account_json(account);
end
$$;

-- A new password ends every other session of the account.
create or replace function api.account_update(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  account auth.users;
begin
  update auth.users set
    email = coalesce($1->>'email', email),
    encrypted_password = coalesce($1->>'password_hash', encrypted_password),
    raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || coalesce(nullif($1->'metadata', 'null'), '{}'),
    updated_at = now()
  where id = ($1->>'user_id')::uuid
  returning * into account;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such account.', hint = 'Sign in again.';
  end if;
  if $1->>'password_hash' is not null then
    delete from auth.sessions where user_id = account.id and id <> ($1->>'session_id')::uuid;
  end if;
  return auth.account_json(account);
exception when unique_violation then
  raise exception using errcode = 'PT409', message = 'A user with this email address has already been registered',
    hint = 'Choose another address.';
end
$$;

create or replace function api.account_session_open(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  account auth.users;
begin
  update auth.users set last_sign_in_at = now() where id = ($1->>'user_id')::uuid returning * into account;
  insert into auth.sessions (id, user_id) values (($1->>'session_id')::uuid, account.id);
  insert into auth.refresh_tokens (hash, session_id) values ($1->>'token_hash', ($1->>'session_id')::uuid);
  return auth.account_json(account);
end
$$;

-- Spends a refresh token and puts a new one in its place. One that was spent before ends the whole session: either the
-- caller or somebody else holds a stolen copy. The outcome is a value, since an error would undo that end.
create or replace function api.account_session_refresh(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  session uuid;
  account auth.users;
begin
  update auth.refresh_tokens set used_at = now()
  where hash = $1->>'token_hash' and used_at is null
  returning session_id into session;
  if not found then
    delete from auth.sessions s using auth.refresh_tokens t where t.hash = $1->>'token_hash' and s.id = t.session_id;
    return jsonb_build_object('outcome', case when found then 'reused' else 'unknown' end);
  end if;
  insert into auth.refresh_tokens (hash, session_id) values ($1->>'new_hash', session);
  update auth.sessions set refreshed_at = now() where id = session;
  select u.* into account from auth.users u join auth.sessions s on s.user_id = u.id where s.id = session;
  return jsonb_build_object('outcome', 'renewed', 'session_id', session, 'user', auth.account_json(account));
end
$$;

-- `scope`: `local` this session, `others` all but this, `global` all.
create or replace function api.account_session_close(jsonb) returns jsonb
language sql security definer set search_path = '' as $$
  delete from auth.sessions where user_id = ($1->>'user_id')::uuid and case $1->>'scope'
    when 'local' then id = ($1->>'session_id')::uuid
    when 'others' then id <> ($1->>'session_id')::uuid
    else true end;
  select '{}'::jsonb
$$;

do $$
declare
  name text;
begin
  foreach name in array array['account_create', 'account_find', 'account_get', 'account_update', 'account_session_open',
    'account_session_refresh', 'account_session_close'] loop
    execute format('revoke all on function api.%I(jsonb) from public', name);
    execute format('grant execute on function api.%I(jsonb) to service', name);
    execute format('alter function api.%I(jsonb) owner to agentopia_accounts', name);
  end loop;
end $$;
revoke all on function auth.account_json(auth.users) from public;
grant execute on function auth.account_json(auth.users) to agentopia_accounts;
