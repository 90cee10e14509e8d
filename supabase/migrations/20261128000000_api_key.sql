-- API keys: a program acts as its user without signing in. Of a key only the SHA-256 is kept, as of an enrolment token: it
-- is random in full, so there is nothing to guess and nothing to salt.

create table app.api_key (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  name text not null check (name = btrim(name) and length(name) between 1 and 100),
  hash text not null unique check (hash ~ '^[0-9a-f]{64}$'),
  expires_at timestamptz,
  -- To five minutes, so that a busy key is not a write a request.
  used_at timestamptz,
  created_at timestamptz not null default now(),
  unique (owner, name)
);

create policy user_own on app.api_key for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy service_read on app.api_key for select using ((select auth.role()) = 'service');
create policy service_use on app.api_key for update using ((select auth.role()) = 'service');

create function app.api_key_json(held app.api_key) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('id', held.id, 'name', held.name, 'created_at', held.created_at,
    'expires_at', held.expires_at, 'used_at', held.used_at)
$$;

create function api.api_key_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  made app.api_key;
begin
  if (select count(*) from app.api_key) >= 50 then
    raise exception using errcode = 'PT409', message = 'You have 50 API keys, which is the most.',
      hint = 'Delete one that no program uses any more.';
  end if;
  if length(btrim($1->>'name')) not between 1 and 100 then
    raise exception using errcode = 'PT422', message = 'The name of an API key has 1 to 100 characters.',
      hint = 'Name it after the program that will use it.';
  end if;
  insert into app.api_key (owner, name, hash, expires_at)
    values (auth.uid(), btrim($1->>'name'), $1->>'hash', ($1->>'expires_at')::timestamptz)
    on conflict (owner, name) do nothing
    returning * into made;
  if made.id is null then
    raise exception using errcode = 'PT409', message = 'You have an API key of this name.',
      hint = 'Choose another name, or delete that key first.';
  end if;
  return app.api_key_json(made);
end
$$;

create function api.api_key_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.api_key_json(k) order by k.created_at, k.id), '[]') from app.api_key k
$$;

create function api.api_key_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  delete from app.api_key where id = ($1->>'id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such API key.',
      hint = 'List your keys with GET /api/vault/keys.';
  end if;
  return jsonb_build_object('id', $1->>'id');
end
$$;

-- Whose key it is; null for one that is not there or has expired.
create function api.api_key_owner(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  held app.api_key;
begin
  select * into held from app.api_key where hash = $1->>'hash' and (expires_at is null or expires_at > now());
  if not found then
    return null;
  end if;
  if held.used_at is null or held.used_at < now() - interval '5 minutes' then
    update app.api_key set used_at = now() where id = held.id;
  end if;
  return jsonb_build_object('owner', held.owner);
end
$$;

grant execute on function api.api_key_create(jsonb), api.api_key_list(jsonb), api.api_key_delete(jsonb) to authenticated;
grant execute on function api.api_key_owner(jsonb) to service;

call gate.adopt();
