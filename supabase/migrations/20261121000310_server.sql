-- Servers: what a toolbox runs. Deploying one gives it to its user's own agent (see 20261121000400_agent.sql).

-- As the toolbox is told (protocol::server::ServerSpec).
create function app.server_spec(server app.server) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', server.id, 'name', server.name, 'source', server.source, 'args', server.args, 'env', server.env,
    'secrets', server.secrets, 'hosts', server.hosts, 'revision', server.revision)
$$;

-- As the user is told (protocol::toolbox::Server).
create function app.server_json(server app.server) returns jsonb
language sql stable set search_path = '' as $$
  select app.server_spec(server) || jsonb_build_object(
    'toolbox_id', server.toolbox_id, 'catalog_name', server.catalog_name,
    'status', jsonb_build_object('id', server.id, 'state', 'pending', 'revision', server.revision) || server.status)
$$;

-- A name that is free at the toolbox, from any text: lower-case letters, digits and hyphens, then -2, -3 and so on.
create function app.server_name(box_id uuid, wanted text) returns text
language plpgsql stable set search_path = '' as $$
declare
  base text := btrim(regexp_replace(lower(coalesce(wanted, '')), '[^a-z0-9]+', '-', 'g'), '-');
  candidate text;
  number integer := 1;
begin
  base := btrim(left(base, 40), '-');
  if base = '' then
    base := 'server';
  end if;
  candidate := base;
  while exists (select from app.server s where s.toolbox_id = box_id and s.name = candidate) loop
    number := number + 1;
    candidate := btrim(left(base, 40 - length(number::text) - 1), '-') || '-' || number;
  end loop;
  return candidate;
end
$$;

-- A server that does what is asked for is shared: the same entry of the catalog or the same package or image, with the
-- same arguments and settings (and the same name, if its user gave one). Otherwise a new one, called `name` or, if
-- there is none, `suggested`. Says whether the toolbox has something to do: a server that had failed is tried again.
create function app.server_ensure(box app.toolbox, wanted jsonb, directly boolean, out server app.server, out changed boolean)
language plpgsql set search_path = '' as $$
declare
  wanted_args text[] := array(select jsonb_array_elements_text(coalesce(wanted->'args', '[]')));
  wanted_secrets text[] := array(select jsonb_array_elements_text(coalesce(wanted->'secrets', '[]')));
  wanted_hosts text[] := array(select jsonb_array_elements_text(coalesce(wanted->'hosts', '[]')));
  all_secrets text[];
  all_hosts text[];
begin
  select * into server from app.server s
    where s.toolbox_id = box.id
      and (s.catalog_name = wanted->>'catalog_name' or s.source = wanted->'source')
      and s.args = wanted_args and s.env = coalesce(wanted->'env', '{}')
      and (not directly or wanted->>'name' is null or s.name = wanted->>'name')
    order by s.created_at, s.id limit 1;
  if found then
    all_secrets := array(select distinct unnest(server.secrets || wanted_secrets) order by 1);
    all_hosts := array(select distinct unnest(server.hosts || wanted_hosts) order by 1);
    changed := all_secrets <> array(select unnest(server.secrets) order by 1)
      or all_hosts <> array(select unnest(server.hosts) order by 1)
      or coalesce(server.status->>'state' in ('failed', 'stopped'), false);
    update app.server s set
        deployed = s.deployed or directly, secrets = all_secrets, hosts = all_hosts,
        revision = s.revision + changed::integer, status = case when changed then '{}' else s.status end
      where s.id = server.id returning * into server;
    return;
  end if;
  if (select count(*) from app.server s where s.toolbox_id = box.id) >= 100 then
    raise exception using errcode = 'PT409', message = 'This toolbox has 100 servers, which is the most.',
      hint = 'Delete servers or agents that you no longer use.';
  end if;
  changed := true;
  insert into app.server (owner, toolbox_id, name, catalog_name, source, args, env, secrets, hosts, deployed)
    values (box.owner, box.id, app.server_name(box.id, coalesce(wanted->>'name', wanted->>'suggested')), wanted->>'catalog_name', wanted->'source',
      wanted_args, coalesce(wanted->'env', '{}'), array(select distinct unnest(wanted_secrets) order by 1),
      array(select distinct unnest(wanted_hosts) order by 1), directly)
    returning * into server;
end
$$;

create function app.server_find(box_id uuid, id uuid) returns app.server
language plpgsql stable set search_path = '' as $$
declare
  server app.server;
begin
  select * into server from app.server s where s.id = server_find.id and s.toolbox_id = box_id;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such server at this toolbox.',
      hint = 'List its servers with GET /api/toolboxes/{id}/servers.';
  end if;
  return server;
end
$$;

create function api.server_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox := app.toolbox_lock(($1->>'toolbox_id')::uuid);
  made record;
begin
  select * into made from app.server_ensure(box, $1, true);
  perform app.grant_all(app.agent_personal(box.owner), made.server, 'deployed by its user');
  if made.changed then
    perform app.toolbox_bump(box.id);
  end if;
  return app.server_json(made.server) || jsonb_build_object('gateway', box.gateway);
end
$$;

create function api.server_list(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
  perform api.toolbox_get(jsonb_build_object('id', $1->>'toolbox_id'));
  return (select coalesce(jsonb_agg(app.server_json(s) order by s.created_at, s.id), '[]')
    from app.server s where s.toolbox_id = ($1->>'toolbox_id')::uuid);
end
$$;

-- One server, with its tools as they are listed now and what of them waits for a new look.
create function api.server_get(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  server app.server := app.server_find(($1->>'toolbox_id')::uuid, ($1->>'id')::uuid);
  tools jsonb;
begin
  select jsonb_agg(jsonb_build_object('name', t.name, 'digest', t.seen_digest, 'definition', t.seen_definition)
      order by t.name)
    into tools from app.server_tool t where t.server_id = server.id and t.listed;
  return app.server_json(server) || jsonb_build_object(
    'status', app.server_json(server)->'status' || case when server.listed_at is null then '{}'::jsonb
      else jsonb_build_object('tools', coalesce(tools, '[]')) end,
    'changed_tools', (select coalesce(jsonb_agg(t.name order by t.name), '[]') from app.server_tool t
      where t.server_id = server.id and t.listed and t.digest <> t.seen_digest));
end
$$;

create function api.server_restart(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox := app.toolbox_lock(($1->>'toolbox_id')::uuid);
  server app.server := app.server_find(box.id, ($1->>'id')::uuid);
begin
  update app.server s set revision = s.revision + 1, status = '{}' where s.id = server.id returning * into server;
  perform app.toolbox_bump(box.id);
  return app.server_json(server) || jsonb_build_object('gateway', box.gateway);
end
$$;

create function api.server_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox := app.toolbox_lock(($1->>'toolbox_id')::uuid);
  server app.server := app.server_find(box.id, ($1->>'id')::uuid);
begin
  perform app.agent_revoke(array(select distinct agent_id from app.tool_grant g
    where g.server_id = server.id and g.state = 'active'));
  delete from app.server s where s.id = server.id;
  perform app.toolbox_bump(box.id);
  return jsonb_build_object('toolboxes', app.toolbox_reachable());
end
$$;

grant execute on function api.server_create(jsonb), api.server_list(jsonb), api.server_get(jsonb),
  api.server_restart(jsonb), api.server_delete(jsonb) to authenticated;

call gate.adopt();
