-- Between the vault and the servers that use it: a change restarts them, and each gets its own secrets only.

-- The name under which a server's credentials are kept: every deployment of one catalog entry shares them.
create function app.server_credential_name(server app.server) returns text
language sql immutable set search_path = '' as $$
  select coalesce(server.catalog_name, server.name)
$$;

-- A toolbox sees a credential only while a server that asks for it is deployed at that very toolbox, of that very owner.
create policy toolbox_use on app.credential for select
  using ((select auth.role()) = 'toolbox' and owner = (select auth.uid()) and exists (
    select from app.server s where s.toolbox_id = (select app.toolbox_id()) and s.owner = credential.owner
      and app.server_credential_name(s) = credential.server and credential.key = any (s.secrets)));
create policy toolbox_use on app.credential_version for select
  using ((select auth.role()) = 'toolbox' and owner = (select auth.uid()) and exists (
    select from app.credential c where c.id = credential_id));
create policy toolbox_use on app.tenant_key for select
  using ((select auth.role()) = 'toolbox' and tenant = (select auth.uid()));
-- Its own releases only: `returning` needs to read the row that it has written.
create policy toolbox_read on app.access for select
  using ((select auth.role()) = 'toolbox' and owner = (select auth.uid())
    and by = 'toolbox:' || (select app.toolbox_id()));

-- Restarts the caller's servers that use a credential, and says where they are.
create function app.credential_changed(changed app.credential) returns jsonb
language plpgsql set search_path = '' as $$
declare
  touched uuid[];
begin
  if not exists (select from app.server s
    where s.owner = changed.owner and app.server_credential_name(s) = changed.server and changed.key = any (s.secrets))
  then
    return '[]';
  end if;
  perform app.toolbox_lock_all();
  with restarted as (
    update app.server s set revision = s.revision + 1, status = '{}'
      where s.owner = changed.owner and app.server_credential_name(s) = changed.server and changed.key = any (s.secrets)
      returning s.toolbox_id
  )
  select array_agg(distinct toolbox_id) into touched from restarted;
  perform app.toolbox_bump(box) from unnest(touched) box;
  return (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'gateway', b.gateway)), '[]')
    from app.toolbox b where b.id = any (touched) and b.gateway is not null);
end
$$;

-- Writes a version with its audit row. Null: its number, or the tenant key it is encrypted under, is another one by now.
create function api.credential_put(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  number integer := ($1->>'version')::integer;
  made jsonb := nullif($1->'new_tenant_key', 'null');
  held app.credential;
begin
  if made is not null then
    -- Together with api.wrapping_raise: no key comes in below a minimum that is being raised.
    perform pg_advisory_xact_lock_shared(app.wrapping_lock());
    if (made->'wrapped'->>'key')::integer < (select minimum from app.wrapping) then
      raise exception using errcode = 'PT409', message = 'The vault''s wrapping key has been replaced.',
        hint = 'Restart this function, so that it reads the new key.';
    end if;
    insert into app.tenant_key (tenant, id, wrapping_key, blob)
      values (auth.uid(), (made->>'id')::uuid, (made->'wrapped'->>'key')::integer, made->'wrapped'->>'blob')
      on conflict do nothing;
  end if;
  if not exists (select from app.tenant_key t
    where t.tenant = auth.uid() and t.id = ($1->>'tenant_key_id')::uuid)
  then
    return null;
  end if;
  if number = 1 then
    insert into app.credential (id, owner, server, key, version, expires_at)
      values (($1->>'id')::uuid, auth.uid(), $1->>'server', $1->>'key', 1, ($1->>'expires_at')::timestamptz)
      on conflict do nothing returning * into held;
  else
    update app.credential c set
        version = number, expires_at = ($1->>'expires_at')::timestamptz, updated_at = clock_timestamp()
      where c.id = ($1->>'id')::uuid and c.version = number - 1 returning * into held;
  end if;
  if held.id is null then
    return null;
  end if;
  delete from app.credential_version v where v.credential_id = held.id;
  insert into app.credential_version (credential_id, version, owner, data_key, value)
    values (held.id, number, held.owner, $1->'data_key', $1->'value');
  insert into app.access (owner, action, credential_id, server, key, by)
    values (held.owner, case number when 1 then 'create' else 'rotate' end, held.id, held.server, held.key,
      'user:' || held.owner);
  return jsonb_build_object('credential', app.credential_json(held), 'toolboxes', app.credential_changed(held));
end
$$;

create function api.credential_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  held app.credential;
begin
  delete from app.credential c where c.id = ($1->>'id')::uuid returning * into held;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such credential.',
      hint = 'List yours with GET /api/vault/credentials.';
  end if;
  insert into app.access (owner, action, credential_id, server, key, by)
    values (held.owner, 'delete', held.id, held.server, held.key, 'user:' || held.owner);
  return jsonb_build_object('toolboxes', app.credential_changed(held));
end
$$;

-- What a server of the calling toolbox gets. Only credentials whose audit row was written in the same statement come out.
create function api.credential_release(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  asking app.server;
  tenant_key app.tenant_key;
  released jsonb;
begin
  select * into asking from app.server s
    where s.id = ($1->>'server_id')::uuid and s.toolbox_id = (select app.toolbox_id()) and s.owner = auth.uid();
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such server at this toolbox.',
      hint = 'Check in, and start what the desired state names.';
  end if;
  with wanted as (
    select * from app.credential c
      where c.owner = asking.owner and c.server = app.server_credential_name(asking) and c.key = any (asking.secrets)
        and (c.expires_at is null or c.expires_at > now())
  ), written as (
    insert into app.access (owner, action, credential_id, server, key, by)
      select w.owner, 'release', w.id, w.server, w.key, 'toolbox:' || asking.toolbox_id from wanted w
      returning credential_id
  )
  select jsonb_agg(jsonb_build_object('id', w.id, 'key', w.key, 'version', v.version, 'expires_at', w.expires_at,
      'data_key', v.data_key, 'value', v.value) order by w.key)
    into released
    from wanted w
    join written on written.credential_id = w.id
    join app.credential_version v on v.credential_id = w.id and v.version = w.version;
  select * into tenant_key from app.tenant_key t where t.tenant = asking.owner;
  return jsonb_build_object(
    'tenant', asking.owner, 'tenant_key', app.tenant_key_json(tenant_key), 'minimum', (select minimum from app.wrapping),
    'credentials', coalesce(released, '[]'),
    'missing', (select coalesce(jsonb_agg(wanted order by wanted), '[]') from unnest(asking.secrets) wanted
      where not exists (select from jsonb_array_elements(released) r where r->>'key' = wanted)));
end
$$;

grant execute on function api.credential_put(jsonb), api.credential_delete(jsonb) to authenticated;
grant execute on function api.credential_release(jsonb) to toolbox;

call gate.adopt();
