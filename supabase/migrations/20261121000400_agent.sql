-- Agents and their grants: who may call which tool, why, and until when.

create table app.agent (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  name text not null check (length(name) between 1 and 100),
  -- personal: the user's own, one each, may use whatever the user deploys. made: from a request.
  kind text not null check (kind in ('personal', 'made')),
  request text not null default '',
  plan jsonb,
  -- As its maker gave it, for those who run it.
  workflow jsonb,
  toolbox_id uuid references app.toolbox (id) on delete set null,
  -- Counts up whenever something is taken from the agent: a capability of an earlier epoch is refused.
  epoch bigint not null default 0,
  created_at timestamptz not null default now()
);
create unique index agent_personal on app.agent (owner) where kind = 'personal';
create index on app.agent (owner, created_at);
create index on app.agent (toolbox_id);

create table app.tool_grant (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null references auth.users (id) on delete cascade,
  agent_id uuid not null references app.agent (id) on delete cascade,
  run_id uuid,
  server_id uuid not null references app.server (id) on delete cascade,
  -- A tool, or * for every founding tool of the server.
  tool text not null,
  args jsonb,
  class text check (class in ('read', 'write', 'destructive', 'egress', 'exec')),
  why text not null,
  state text not null check (state in ('waiting', 'active', 'denied', 'expired', 'revoked')),
  asked_by text not null,
  approved_by text,
  created_at timestamptz not null default now(),
  expires_at timestamptz
);
create index on app.tool_grant (owner, created_at);
create index on app.tool_grant (agent_id);
create index on app.tool_grant (server_id);
create index on app.tool_grant (expires_at) where state = 'active';
-- A standing permission exists once, however often it is given.
create unique index tool_grant_standing on app.tool_grant (agent_id, server_id, tool)
  where state = 'active' and args is null and run_id is null and expires_at is null;

create policy user_own on app.agent for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.tool_grant for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy service_all on app.tool_grant for all using ((select auth.role()) = 'service');

create function app.agent_json(agent app.agent) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', agent.id, 'name', agent.name, 'kind', agent.kind, 'request', agent.request, 'plan', agent.plan,
    'workflow', agent.workflow, 'toolbox_id', agent.toolbox_id, 'created_at', agent.created_at,
    'servers', coalesce((select jsonb_agg(distinct s.name) from app.tool_grant g join app.server s on s.id = g.server_id
      where g.agent_id = agent.id and g.state = 'active' and (g.expires_at is null or g.expires_at > now())), '[]'))
$$;

create function app.agent_find(id uuid) returns app.agent
language plpgsql stable set search_path = '' as $$
declare
  agent app.agent;
begin
  select * into agent from app.agent a where a.id = agent_find.id;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such agent.',
      hint = 'List your agents with GET /api/agents.';
  end if;
  return agent;
end
$$;

-- The user's own agent, made when it is first needed.
create function app.agent_personal(user_id uuid) returns uuid
language plpgsql set search_path = '' as $$
declare
  found_id uuid;
begin
  insert into app.agent (owner, name, kind) values (user_id, 'personal', 'personal')
    on conflict (owner) where kind = 'personal' do nothing;
  select a.id into found_id from app.agent a where a.owner = user_id and a.kind = 'personal';
  return found_id;
end
$$;

create function app.grant_all(agent uuid, server app.server, why text) returns void
language sql set search_path = '' as $$
  insert into app.tool_grant (owner, agent_id, server_id, tool, why, state, asked_by, approved_by)
    values (server.owner, agent, server.id, '*', why, 'active', 'user:' || server.owner, 'user:' || server.owner)
    on conflict (agent_id, server_id, tool)
      where state = 'active' and args is null and run_id is null and expires_at is null do nothing
$$;

-- No capability that these agents have is good any more. The caller holds app.toolbox_lock_all.
create function app.agent_revoke(agents uuid[]) returns void
language sql set search_path = '' as $$
  update app.agent set epoch = epoch + 1 where id = any (agents);
  insert into app.revocation (agent_id, owner, epoch)
    select a.id, a.owner, a.epoch from app.agent a where a.id = any (agents)
    on conflict (agent_id) do update set epoch = excluded.epoch, created_at = now();
  update app.toolbox t set revocation_sequence = t.revocation_sequence + 1
    where exists (select from app.agent a where a.id = any (agents) and a.owner = t.owner);
$$;

-- The toolbox that is meant: the one named, or the only one.
create function app.toolbox_choose(named uuid) returns app.toolbox
language plpgsql stable set search_path = '' as $$
declare
  box app.toolbox;
begin
  if named is not null then
    select * into box from app.toolbox where id = named;
    if not found then
      raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
        hint = 'List your toolboxes with GET /api/toolboxes.';
    end if;
    return box;
  end if;
  case (select count(*) from app.toolbox)
    when 1 then
      select * into box from app.toolbox;
      return box;
    when 0 then
      raise exception using errcode = 'PT409', message = 'You have no toolbox yet.',
        hint = 'Make one with POST /api/toolboxes and enrol a machine as it.';
    else
      raise exception using errcode = 'PT409', message = 'You have several toolboxes.',
        hint = 'Say which one with toolbox_id.';
  end case;
end
$$;

-- Row, servers, grants and the toolbox's new generation, in one transaction.
create function api.agent_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox;
  personal uuid := app.agent_personal(auth.uid());
  agent app.agent;
  wanted jsonb;
  made record;
  changed boolean := false;
  servers jsonb := '[]';
begin
  perform app.toolbox_lock_all();
  box := app.toolbox_choose(($1->>'toolbox_id')::uuid);
  if jsonb_array_length(coalesce($1->'servers', '[]')) > 30 then
    raise exception using errcode = 'PT422', message = 'An agent has 30 servers at most.',
      hint = 'Make several agents, each for a part of the work.';
  end if;
  if (select count(*) from app.agent) >= 500 then
    raise exception using errcode = 'PT409', message = 'You have 500 agents, which is the most.',
      hint = 'Delete agents that you no longer use.';
  end if;
  insert into app.agent (owner, name, kind, request, plan, workflow, toolbox_id)
    values (box.owner, left(coalesce(nullif(btrim($1->>'name'), ''), 'agent'), 100), 'made',
      coalesce($1->>'request', ''), nullif($1->'plan', 'null'), nullif($1->'workflow', 'null'), box.id)
    returning * into agent;
  for wanted in select value from jsonb_array_elements(coalesce($1->'servers', '[]')) loop
    select * into made from app.server_ensure(box, wanted, false);
    perform app.grant_all(agent.id, made.server, 'chosen for the request it was made from');
    perform app.grant_all(personal, made.server, 'deployed by its user');
    changed := changed or made.changed;
    servers := servers || jsonb_build_object('id', (made.server).id, 'name', (made.server).name);
  end loop;
  return jsonb_build_object('agent_id', agent.id, 'toolbox_id', box.id, 'gateway', box.gateway, 'servers', servers,
    'generation', case when changed then app.toolbox_bump(box.id) else box.generation end);
end
$$;

create function api.agent_list(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  perform app.agent_personal(auth.uid());
  return (select jsonb_agg(app.agent_json(a) order by a.kind = 'made', a.created_at, a.id) from app.agent a);
end
$$;

create function api.agent_get(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select app.agent_json(app.agent_find(($1->>'id')::uuid))
$$;

create function api.agent_update(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent := app.agent_find(($1->>'id')::uuid);
begin
  if length(coalesce($1->>'name', 'unchanged')) not between 1 and 100 then
    raise exception using errcode = 'PT422', message = 'An agent has a name of 1 to 100 characters.',
      hint = 'Send {"name": "…"}.';
  end if;
  update app.agent a set name = coalesce($1->>'name', a.name), request = coalesce($1->>'request', a.request)
    where a.id = agent.id returning * into agent;
  return app.agent_json(agent);
end
$$;

-- A server goes with the last made agent that uses it, unless its user deployed it directly.
create function api.agent_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent;
  idle uuid[];
  boxes uuid[];
begin
  perform app.toolbox_lock_all();
  agent := app.agent_find(($1->>'id')::uuid);
  if agent.kind = 'personal' then
    raise exception using errcode = 'PT409', message = 'This is your own agent, which stays with your account.',
      hint = 'Take single permissions from it with DELETE /api/grants/{id}.';
  end if;
  idle := array(select distinct s.id from app.server s join app.tool_grant g on g.server_id = s.id
    where g.agent_id = agent.id and not s.deployed and not exists (
      select from app.tool_grant o join app.agent a on a.id = o.agent_id
        where o.server_id = s.id and o.state = 'active' and a.kind = 'made' and a.id <> agent.id));
  perform app.agent_revoke(array(select agent.id union select g.agent_id from app.tool_grant g
    where g.server_id = any (idle) and g.state = 'active'));
  boxes := array(select distinct s.toolbox_id from app.server s where s.id = any (idle));
  delete from app.agent a where a.id = agent.id;
  delete from app.server s where s.id = any (idle);
  perform app.toolbox_bump(box) from unnest(boxes) box;
  return jsonb_build_object('toolboxes', app.toolbox_reachable());
end
$$;

grant execute on function api.agent_create(jsonb), api.agent_list(jsonb), api.agent_get(jsonb),
  api.agent_update(jsonb), api.agent_delete(jsonb) to authenticated;

call gate.adopt();
