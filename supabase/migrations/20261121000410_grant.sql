-- Giving, listing and taking grants, and what a capability may hold because of them.

create function app.grant_json(permission app.tool_grant) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', permission.id, 'agent_id', permission.agent_id, 'run_id', permission.run_id,
    'server_id', permission.server_id,
    'server', (select s.name from app.server s where s.id = permission.server_id),
    'tool', permission.tool, 'args', permission.args, 'class', permission.class, 'why', permission.why,
    'state', case when permission.state = 'active' and permission.expires_at <= now() then 'expired'
      else permission.state end,
    'asked_by', permission.asked_by, 'approved_by', permission.approved_by, 'created_at', permission.created_at,
    'expires_at', permission.expires_at)
$$;

-- Its user gives one of their agents a tool, or * for the founding ones. This is also the new look at a tool whose
-- definition has changed since it was pinned: the definition that is listed now is pinned in its place.
create function api.grant_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent := app.agent_find(($1->>'agent_id')::uuid);
  server app.server;
  wanted text := $1->>'tool';
  until timestamptz := ($1->>'expires_at')::timestamptz;
  risk text;
  permission app.tool_grant;
begin
  select * into server from app.server s where s.id = ($1->>'server_id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such server.',
      hint = 'List a toolbox''s servers with GET /api/toolboxes/{id}/servers.';
  end if;
  if until <= now() then
    raise exception using errcode = 'PT422', message = 'The grant would be over already.',
      hint = 'Send an expires_at in the future, or none for as long as the agent exists.';
  end if;
  if length(coalesce(btrim($1->>'why'), '')) not between 1 and 2000 then
    raise exception using errcode = 'PT422', message = 'A grant says why, in 1 to 2000 characters.',
      hint = 'Send {"why": "…"}.';
  end if;
  if wanted <> '*' then
    select t.seen_class into risk from app.server_tool t
      where t.server_id = server.id and t.name = wanted and t.listed;
    if not found then
      raise exception using errcode = 'PT422', message = 'The server lists no such tool.',
        hint = 'See its tools with GET /api/toolboxes/{id}/servers/{sid}; * stands for all that it had at first.';
    end if;
  end if;
  update app.server_tool t set digest = t.seen_digest, definition = t.seen_definition, class = t.seen_class
    where t.server_id = server.id and t.listed and (t.name = wanted or (wanted = '*' and t.founding));
  insert into app.tool_grant (owner, agent_id, server_id, tool, args, class, why, state, asked_by, approved_by,
      expires_at)
    values (agent.owner, agent.id, server.id, wanted, nullif($1->'args', 'null'), risk, btrim($1->>'why'), 'active',
      'user:' || agent.owner, 'user:' || agent.owner, until)
    on conflict (agent_id, server_id, tool)
      where state = 'active' and args is null and run_id is null and expires_at is null
      do update set why = excluded.why, class = excluded.class
    returning * into permission;
  return app.grant_json(permission);
end
$$;

create function api.grant_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(app.grant_json(g) order by g.created_at desc, g.id), '[]') from (
    select * from app.tool_grant g where coalesce(g.agent_id = ($1->>'agent_id')::uuid, true)
      order by g.created_at desc, g.id limit 1000) g
$$;

create function api.grant_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  permission app.tool_grant;
begin
  perform app.toolbox_lock_all();
  select * into permission from app.tool_grant g where g.id = ($1->>'id')::uuid for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such grant.',
      hint = 'List your grants with GET /api/grants.';
  end if;
  if permission.state in ('active', 'waiting') then
    update app.tool_grant g set state = 'revoked' where g.id = permission.id returning * into permission;
    perform app.agent_revoke(array[permission.agent_id]);
  end if;
  return jsonb_build_object('toolboxes', app.toolbox_reachable());
end
$$;

-- What the agent may call at the toolbox now: its live grants, times the tools whose listed definition is the pinned
-- one. Ends in 15 minutes, or earlier with the first grant that ends. The caller signs it.
create function api.capability_issue(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  -- A step of its own: what one step makes, only the next one sees.
  wanted uuid := coalesce(($1->>'agent_id')::uuid, app.agent_personal(auth.uid()));
  agent app.agent := app.agent_find(wanted);
  box app.toolbox := app.toolbox_choose(coalesce(($1->>'toolbox_id')::uuid, agent.toolbox_id));
  run uuid := ($1->>'run_id')::uuid;
  tools jsonb;
  until timestamptz;
begin
  if box.gateway is null then
    raise exception using errcode = 'PT409', message = 'No machine has enrolled as this toolbox yet.',
      hint = 'Run `dtma enrol` on the machine with the toolbox''s enrolment token.';
  end if;
  with permission as (
    select s.name as server, t.name as tool, t.digest, t.class, g.args, coalesce(g.expires_at, 'infinity') as ends
      from app.tool_grant g
      join app.server s on s.id = g.server_id and s.toolbox_id = box.id
      join app.server_tool t on t.server_id = s.id and t.listed and t.digest = t.seen_digest
        and (t.name = g.tool or (g.tool = '*' and t.founding))
      where g.agent_id = agent.id and g.state = 'active' and (g.expires_at is null or g.expires_at > now())
        and (g.run_id is null or g.run_id = run)
  ), tool as (
    -- A grant without conditions makes those with conditions needless; otherwise each stands for itself.
    select server, tool, digest, class, args, max(ends) as ends from permission p
      where args is null or not exists (
        select from permission o where o.server = p.server and o.tool = p.tool and o.args is null)
      group by server, tool, digest, class, args
  )
  select coalesce(jsonb_agg(jsonb_build_object('server', server, 'tool', tool, 'digest', digest, 'class', class)
        || case when args is null then '{}'::jsonb else jsonb_build_object('args', args) end
        order by server, tool, args), '[]'), min(ends)
    into tools, until from tool;
  return jsonb_build_object(
    'agent_id', agent.id, 'owner', agent.owner, 'toolbox_id', box.id, 'gateway', box.gateway, 'epoch', agent.epoch,
    'now', floor(extract(epoch from now()))::bigint, 'tools', tools,
    'expires_at', floor(extract(epoch from least(now() + interval '15 minutes', until)))::bigint);
end
$$;

grant execute on function api.grant_create(jsonb), api.grant_list(jsonb), api.grant_delete(jsonb),
  api.capability_issue(jsonb) to authenticated;

call gate.adopt();
