-- Conversations, and the runs of agents with their journals.

create table app.session (
  id uuid primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  -- Counts up with every turn; a turn that began before another one ended is refused.
  version integer not null default 1,
  -- What the next turn has to know. The function that serves the chat writes and reads it; no secret is ever in it.
  state jsonb not null default '{}' check (octet_length(state::text) <= 1048576),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index on app.session (owner, updated_at);

create table app.session_message (
  session_id uuid not null references app.session (id) on delete cascade,
  sequence integer not null,
  owner uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('user', 'assistant')),
  content text not null check (length(content) <= 32768),
  at timestamptz not null default now(),
  primary key (session_id, sequence)
);
create index on app.session_message (owner);

create table app.run (
  id uuid primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  agent_id uuid not null references app.agent (id) on delete cascade,
  session_id uuid references app.session (id) on delete set null,
  state text not null default 'running' check (state in ('running', 'finished', 'failed', 'cancelled')),
  message text not null check (length(message) <= 32768),
  -- Its worker's lease: every append carries the number and a later worker has a higher one.
  fence integer not null default 1,
  cancel boolean not null default false,
  -- Of the last event.
  sequence bigint not null default 0,
  created_at timestamptz not null default now(),
  -- When its worker last wrote.
  alive_at timestamptz not null default now(),
  finished_at timestamptz
);
create index on app.run (owner, created_at);
create index on app.run (agent_id);
create index on app.run (session_id);

-- The journal: only ever added to.
create table app.run_event (
  run_id uuid not null references app.run (id) on delete cascade,
  sequence bigint not null,
  owner uuid not null references auth.users (id) on delete cascade,
  kind text not null check (kind ~ '^[a-z]+\.[a-z]+$'),
  data jsonb not null default '{}',
  at timestamptz not null default clock_timestamp(),
  primary key (run_id, sequence)
);
create index on app.run_event (owner);

create policy user_own on app.session for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.session_message for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_own on app.run for all
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_read on app.run_event for select
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy user_add on app.run_event for insert
  with check ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));

create function app.session_find(id uuid) returns app.session
language plpgsql stable set search_path = '' as $$
declare
  session app.session;
begin
  select * into session from app.session s where s.id = session_find.id;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such session.',
      hint = 'Leave session_id out to begin a new one.';
  end if;
  return session;
end
$$;

-- Writes what a turn made of the session: the first turn inserts it.
create function app.session_write(arguments jsonb) returns app.session
language plpgsql set search_path = '' as $$
declare
  session app.session;
  expected integer := coalesce((arguments->>'version')::integer, 0);
  last integer;
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
  select coalesce(max(m.sequence), 0) into last from app.session_message m where m.session_id = session.id;
  if last > 2000 then
    raise exception using errcode = 'PT409', message = 'This session has 2000 messages, which is the most.',
      hint = 'Begin a new one: leave session_id out.';
  end if;
  insert into app.session_message (session_id, sequence, owner, role, content)
    select session.id, last + m.ordinality, session.owner, m.value->>'role', m.value->>'content'
      from jsonb_array_elements(coalesce(arguments->'messages', '[]')) with ordinality m;
  return session;
end
$$;

create function api.session_create(jsonb) returns jsonb
language sql security definer set search_path = '' as $$
  select jsonb_build_object('id', s.id, 'created_at', s.created_at) from app.session_write($1) s
$$;

-- Everything that a turn begins with: the session (null for a new one), which credentials the vault has, which servers
-- are there already, and how the toolbox is that a new agent would use (null for none or several).
create function api.session_open(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  session jsonb;
  wanted uuid := ($1->>'session_id')::uuid;
begin
  if wanted is not null then
    select jsonb_build_object('id', s.id, 'version', s.version, 'state', s.state) into session
      from app.session_find(wanted) s;
  end if;
  return jsonb_build_object('session', session, 'credentials', api.credential_list('{}'),
    'servers', (select coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'catalog_name', s.catalog_name)
      order by s.created_at), '[]') from app.server s),
    'toolbox', (select case when count(*) = 1 then min(app.toolbox_state(t)) end from app.toolbox t));
end
$$;

create function api.session_save(jsonb) returns jsonb
language sql security definer set search_path = '' as $$
  select jsonb_build_object('version', s.version) from app.session_write($1) s
$$;

-- The turn that makes the agent: both or neither, so that a turn that is sent again does not make a second one.
create function api.session_agent_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  made jsonb := api.agent_create($1->'agent');
begin
  perform app.session_write($1 || jsonb_build_object('state',
    ($1->'state') || jsonb_build_object('agent_id', made->'agent_id')));
  return made;
end
$$;

create function api.session_get(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', s.id, 'created_at', s.created_at, 'updated_at', s.updated_at, 'state', s.state,
    'messages', (select coalesce(jsonb_agg(jsonb_build_object('role', m.role, 'content', m.content, 'at', m.at)
      order by m.sequence), '[]') from app.session_message m where m.session_id = s.id))
    from app.session_find(($1->>'session_id')::uuid) s
$$;

create function api.session_delete(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  delete from app.session s where s.id = (app.session_find(($1->>'session_id')::uuid)).id;
  return 'null';
end
$$;

create function app.run_find(id uuid) returns app.run
language plpgsql stable set search_path = '' as $$
declare
  run app.run;
begin
  select * into run from app.run r where r.id = run_find.id;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such run.',
      hint = 'Start one with POST /api/agents/{id}/runs.';
  end if;
  return run;
end
$$;

create function app.run_json(run app.run) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('id', run.id, 'agent_id', run.agent_id, 'session_id', run.session_id, 'state', run.state,
    'message', run.message, 'sequence', run.sequence, 'cancel', run.cancel, 'created_at', run.created_at,
    'finished_at', run.finished_at)
$$;

-- A run of one of the user's agents, and what the run begins with.
create function api.run_create(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  agent app.agent := app.agent_find(($1->>'agent_id')::uuid);
  run app.run;
begin
  -- One whose worker has not written for ten minutes is dead, whatever its row says.
  if (select count(*) from app.run r where r.state = 'running' and r.alive_at > now() - interval '10 minutes') >= 20 then
    raise exception using errcode = 'PT429', message = 'You have 20 runs under way, which is the most.',
      hint = 'Wait for one to end, or cancel one.';
  end if;
  insert into app.run (id, owner, agent_id, session_id, message)
    values (($1->>'id')::uuid, agent.owner, agent.id, ($1->>'session_id')::uuid, $1->>'message') returning * into run;
  return app.run_json(run) || jsonb_build_object('fence', run.fence,
    'agent', jsonb_build_object('id', agent.id, 'name', agent.name, 'request', agent.request));
end
$$;

-- Adds events in one go. A worker that lost its lease, or a run that has ended, is refused; says whether to stop.
create function api.run_append(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  run app.run := app.run_find(($1->>'run_id')::uuid);
  events jsonb := coalesce($1->'events', '[]');
begin
  update app.run r set
      sequence = r.sequence + jsonb_array_length(events), alive_at = now(),
      state = coalesce($1->>'state', r.state),
      finished_at = case when $1->>'state' is not null then now() end
    where r.id = run.id and r.fence = ($1->>'fence')::integer and r.state = 'running' returning * into run;
  if not found then
    raise exception using errcode = 'PT409', message = 'This run has ended, or another worker has taken it over.',
      hint = 'Read it with GET /api/runs/{id}.';
  end if;
  insert into app.run_event (run_id, sequence, owner, kind, data)
    select run.id, run.sequence - jsonb_array_length(events) + e.ordinality, run.owner, e.value->>'kind', e.value->'data'
      from jsonb_array_elements(events) with ordinality e;
  return jsonb_build_object('sequence', run.sequence, 'cancel', run.cancel);
end
$$;

create function app.run_event_json(event app.run_event) returns jsonb
language sql stable set search_path = '' as $$
  select event.data || jsonb_build_object('sequence', event.sequence, 'type', event.kind, 'at', event.at)
$$;

-- The run, and its journal without the pieces of text that streamed.
create function api.run_get(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select app.run_json(r) || jsonb_build_object('events', coalesce((
      select jsonb_agg(app.run_event_json(e) order by e.sequence)
      from (select * from app.run_event e where e.run_id = r.id and e.kind <> 'model.delta'
        order by e.sequence limit 1000) e), '[]'))
    from app.run_find(($1->>'id')::uuid) r
$$;

-- The events after a sequence number, 500 at most, and the run as it is now.
create function api.run_event_list(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('run', app.run_json(r), 'events', coalesce((
      select jsonb_agg(app.run_event_json(e) order by e.sequence)
      from (select * from app.run_event e where e.run_id = r.id and e.sequence > coalesce(($1->>'after')::bigint, 0)
        order by e.sequence limit 500) e), '[]'))
    from app.run_find(($1->>'id')::uuid) r
$$;

-- Asks its worker to stop. One whose worker is gone is cancelled here.
create function api.run_cancel(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  run app.run := app.run_find(($1->>'id')::uuid);
begin
  update app.run r set cancel = true,
      state = case when r.alive_at < now() - interval '10 minutes' then 'cancelled' else r.state end,
      finished_at = case when r.alive_at < now() - interval '10 minutes' then now() end
    where r.id = run.id and r.state = 'running' returning * into run;
  return app.run_json(app.run_find(($1->>'id')::uuid));
end
$$;

grant execute on function api.session_create(jsonb), api.session_open(jsonb), api.session_save(jsonb),
  api.session_agent_create(jsonb), api.session_get(jsonb), api.session_delete(jsonb), api.run_create(jsonb),
  api.run_append(jsonb), api.run_get(jsonb), api.run_event_list(jsonb), api.run_cancel(jsonb) to authenticated;

call gate.adopt();
