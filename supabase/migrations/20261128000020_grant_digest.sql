-- A grant may say the digest of the definition that was looked at: if the tool has come to say something else meanwhile, nobody
-- has agreed to that.
create or replace function api.grant_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent := app.agent_find(($1->>'agent_id')::uuid);
  server app.server;
  wanted text := $1->>'tool';
  until timestamptz := ($1->>'expires_at')::timestamptz;
  risk text;
  seen text;
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
    select t.seen_class, t.seen_digest into risk, seen from app.server_tool t
      where t.server_id = server.id and t.name = wanted and t.listed;
    if not found then
      raise exception using errcode = 'PT422', message = 'The server lists no such tool.',
        hint = 'See its tools with GET /api/toolboxes/{id}/servers/{sid}; * stands for all that it had at first.';
    end if;
    if seen <> $1->>'digest' then
      raise exception using errcode = 'PT409', message = 'The tool says something else than what was looked at.',
        hint = 'Look at it again with GET /api/toolboxes/{id}/servers/{sid}, and grant what it says now.';
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

call gate.adopt();
