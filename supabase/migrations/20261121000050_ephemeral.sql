-- State that expires, where no DynamoDB is at hand: nonces, pending sign-ins, counters. For the control plane only.

create table app.ephemeral (
  scope text not null,
  key text not null,
  value jsonb not null,
  expires_at timestamptz not null,
  primary key (scope, key)
);
create index ephemeral_expires_at on app.ephemeral (expires_at);

create policy ephemeral_service on app.ephemeral
  using ((select auth.role()) = 'service') with check ((select auth.role()) = 'service');

-- {scope, key, value, ttl_ms} -> null
create function api.ephemeral_put(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  insert into app.ephemeral (scope, key, value, expires_at)
  values ($1 ->> 'scope', $1 ->> 'key', $1 -> 'value', now() + ($1 ->> 'ttl_ms')::bigint * interval '1 millisecond')
  on conflict (scope, key) do update set value = excluded.value, expires_at = excluded.expires_at
  returning null::jsonb
$$;

-- {scope, key, value, ttl_ms} -> whether it was put: false when an unexpired value is there.
create function api.ephemeral_put_if_absent(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  insert into app.ephemeral as present (scope, key, value, expires_at)
  values ($1 ->> 'scope', $1 ->> 'key', $1 -> 'value', now() + ($1 ->> 'ttl_ms')::bigint * interval '1 millisecond')
  on conflict (scope, key) do update set value = excluded.value, expires_at = excluded.expires_at
    where present.expires_at <= now();
  return to_jsonb(found);
end
$$;

-- {scope, key} -> {value} or null
create function api.ephemeral_get(jsonb) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object('value', value) from app.ephemeral
   where scope = $1 ->> 'scope' and key = $1 ->> 'key' and expires_at > now()
$$;

-- {scope, key} -> {value} or null; of two that take at once, one gets it.
create function api.ephemeral_take(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  with taken as (
    delete from app.ephemeral where scope = $1 ->> 'scope' and key = $1 ->> 'key' returning value, expires_at
  )
  select jsonb_build_object('value', value) from taken where expires_at > now()
$$;

-- {scope, key, window_ms} -> how often this was called in the window that the first call opened.
create function api.ephemeral_count(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  insert into app.ephemeral as present (scope, key, value, expires_at)
  values ($1 ->> 'scope', $1 ->> 'key', to_jsonb(1), now() + ($1 ->> 'window_ms')::bigint * interval '1 millisecond')
  on conflict (scope, key) do update set
    value = case when present.expires_at > now() then to_jsonb(present.value::bigint + 1) else excluded.value end,
    expires_at = case when present.expires_at > now() then present.expires_at else excluded.expires_at end
  returning value
$$;

-- {at_most} -> how many expired rows it removed.
create function api.ephemeral_sweep(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  with expired as (
    select scope, key from app.ephemeral where expires_at <= now()
     order by expires_at limit ($1 ->> 'at_most')::bigint for update skip locked
  ), removed as (
    delete from app.ephemeral using expired
     where ephemeral.scope = expired.scope and ephemeral.key = expired.key returning 1
  )
  select to_jsonb(count(*)) from removed
$$;

grant execute on function api.ephemeral_put(jsonb), api.ephemeral_put_if_absent(jsonb), api.ephemeral_get(jsonb),
  api.ephemeral_take(jsonb), api.ephemeral_count(jsonb), api.ephemeral_sweep(jsonb) to service;

call gate.adopt();
