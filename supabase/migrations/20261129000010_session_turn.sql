-- Of the turns of a session that agents answer, one runs at a time: its run is made before the first tool is called, and
-- another one is refused until that has ended or was told to stop. Such a turn leaves the session's state as it is, so it can end
-- whatever else was said meanwhile.

-- Adds to what was said.
create function app.session_add(session app.session, messages jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  last integer := app.session_last(session.id);
begin
  insert into app.session_message (session_id, sequence, owner, role, content)
    select session.id, last + m.ordinality, session.owner, m.value->>'role', m.value->>'content'
      from jsonb_array_elements(coalesce(messages, '[]')) with ordinality m;
end
$$;

-- The number of its last message, where there is room for another.
create function app.session_last(id uuid) returns integer
language plpgsql stable set search_path = '' as $$
declare
  last integer;
begin
  select coalesce(max(m.sequence), 0) into last from app.session_message m where m.session_id = session_last.id;
  if last > 2000 then
    raise exception using errcode = 'PT409', message = 'This session has 2000 messages, which is the most.',
      hint = 'Begin a new one: leave session_id out.';
  end if;
  return last;
end
$$;

-- Writes what a turn made of the session: the first turn inserts it.
create or replace function app.session_write(arguments jsonb) returns app.session
language plpgsql set search_path = '' as $$
declare
  session app.session;
  expected integer := coalesce((arguments->>'version')::integer, 0);
begin
  if expected = 0 then
    if (select count(*) from app.session) >= 10000 then
      raise exception using errcode = 'PT409', message = 'You have 10000 sessions, which is the most.',
        hint = 'Delete some with DELETE /api/sessions/{id}.';
    end if;
    insert into app.session (id, owner, state)
      values ((arguments->>'session_id')::uuid, auth.uid(), coalesce(arguments->'state', '{}'))
      on conflict (id) do nothing returning * into session;
  else
    update app.session s set state = arguments->'state', version = s.version + 1, updated_at = now()
      where s.id = (arguments->>'session_id')::uuid and s.version = expected returning * into session;
  end if;
  if session.id is null then
    perform app.session_find((arguments->>'session_id')::uuid);
    raise exception using errcode = 'PT409', message = 'Another message in this session was answered meanwhile.',
      hint = 'Read the session and send your message again.';
  end if;
  perform app.session_add(session, arguments->'messages');
  return session;
end
$$;

-- {session_id, messages}: what was said in a turn that leaves the state as it is.
create function api.session_say(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  session app.session := app.session_find(($1->>'session_id')::uuid);
begin
  -- Locks it too: what two say at once is numbered one after the other.
  update app.session s set updated_at = now() where s.id = session.id;
  perform app.session_add(session, $1->'messages');
  return 'null';
end
$$;

-- {id, agent_id, message, session_id, begins_session}: a run of one of the user's agents, and what the run begins with. With a
-- session it belongs to that, or begins it.
create or replace function api.run_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent := app.agent_find(($1->>'agent_id')::uuid);
  wanted constant uuid := ($1->>'session_id')::uuid;
  other uuid;
  run app.run;
begin
  -- One whose worker has not written for ten minutes is dead, whatever its row says.
  if (select count(*) from app.run r where r.state = 'running' and r.alive_at > now() - interval '10 minutes') >= 20 then
    raise exception using errcode = 'PT429', message = 'You have 20 runs under way, which is the most.',
      hint = 'Wait for one to end, or cancel one.';
  end if;
  if ($1->>'begins_session')::boolean then
    perform app.session_write($1);
  elsif wanted is not null then
    perform app.session_find(wanted);
    perform from app.session s where s.id = wanted for update;
    perform app.session_last(wanted);
    select r.id into other from app.run r
      where r.session_id = wanted and r.state = 'running' and not r.cancel
        and r.alive_at > now() - interval '10 minutes' limit 1;
    if found then
      raise exception using errcode = 'PT409', message = 'Another message in this session is being answered.',
        hint = format('Wait for its answer, or stop it with POST /api/runs/%s/cancel.', other);
    end if;
  end if;
  insert into app.run (id, owner, agent_id, session_id, message)
    values (($1->>'id')::uuid, agent.owner, agent.id, wanted, $1->>'message') returning * into run;
  return app.run_json(run) || jsonb_build_object('fence', run.fence,
    'agent', jsonb_build_object('id', agent.id, 'name', agent.name, 'request', agent.request),
    -- The last twenty messages are what a model is told of.
    'history', (select coalesce(jsonb_agg(jsonb_build_object('role', m.role, 'content', m.content) order by m.sequence), '[]')
      from (select * from app.session_message m where m.session_id = wanted
        order by m.sequence desc limit 20) m));
end
$$;

grant execute on function api.session_say(jsonb) to authenticated;

call gate.adopt();
