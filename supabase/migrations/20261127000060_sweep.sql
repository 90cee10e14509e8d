-- Runs that nobody works on any more, and events that are old, end too.

create policy service_read on app.run for select using ((select auth.role()) = 'service');
create policy service_give_up on app.run for update
  using ((select auth.role()) = 'service' and state = 'running' and alive_at < now() - interval '10 minutes')
  with check ((select auth.role()) = 'service' and state = 'failed');
create policy service_add on app.run_event for insert with check ((select auth.role()) = 'service' and kind = 'run.finished');
create index on app.run (alive_at) where state = 'running';

-- Answers how many rows of each kind it has changed. A row that somebody else holds is left for the next time.
create or replace function api.sweep_run(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  toolboxes integer;
  enrolments integer;
  grants integer;
  revocations integer;
  sessions integer;
  runs integer;
  events integer;
begin
  perform app.plane_beat();

  -- A toolbox that has not called for too long is late, then offline.
  with due as (
    select t.id from app.toolbox t where t.state <> app.toolbox_state(t) order by t.id for update skip locked
  )
  update app.toolbox t set state = app.toolbox_state(t) from due where t.id = due.id;
  get diagnostics toolboxes = row_count;

  with due as (
    select t.id from app.toolbox t where t.enrolment_expires_at <= now() order by t.id for update skip locked
  )
  update app.toolbox t set enrolment_hash = null, enrolment_expires_at = null from due where t.id = due.id;
  get diagnostics enrolments = row_count;

  with due as (
    select g.id from app.tool_grant g where g.state = 'active' and g.expires_at <= now() for update skip locked
  )
  update app.tool_grant g set state = 'expired' from due where g.id = due.id;
  get diagnostics grants = row_count;

  -- By then every capability of an earlier epoch has been over for a day.
  with due as (
    select r.agent_id from app.revocation r where r.created_at < now() - interval '1 day' for update skip locked
  )
  delete from app.revocation r using due where r.agent_id = due.agent_id;
  get diagnostics revocations = row_count;

  delete from app.session s where s.id in (
    select old.id from app.session old where old.updated_at < now() - interval '90 days' limit 1000);
  get diagnostics sessions = row_count;

  -- A worker writes at each step, and no step takes ten minutes.
  with due as (
    select r.id from app.run r where r.state = 'running' and r.alive_at < now() - interval '10 minutes'
      limit 1000 for update skip locked
  ), ended as (
    update app.run r set state = 'failed', finished_at = now(), sequence = r.sequence + 1 from due where r.id = due.id
      returning r.id, r.owner, r.sequence
  )
  insert into app.run_event (run_id, sequence, owner, kind, data)
    select e.id, e.sequence, e.owner, 'run.finished', jsonb_build_object('state', 'failed', 'text',
      'The run was given up: nothing was heard of its worker for ten minutes.') from ended e;
  get diagnostics runs = row_count;

  delete from app.event e where e.id in (
    select old.id from app.event old where old.received_at < now() - interval '30 days' limit 10000);
  get diagnostics events = row_count;

  return jsonb_build_object('toolboxes', toolboxes, 'enrolments', enrolments, 'grants', grants,
    'revocations', revocations, 'sessions', sessions, 'runs', runs, 'events', events);
end
$$;

call gate.adopt();
