-- What time alone changes. Nothing waits for it to be safe: whoever reads a row looks at its time too.

create policy service_read on app.session for select using ((select auth.role()) = 'service');
create policy service_expire on app.session for delete
  using ((select auth.role()) = 'service' and updated_at < now() - interval '90 days');
create policy service_read on app.session_message for select using ((select auth.role()) = 'service');

-- Answers how many rows of each kind it has changed. A row that somebody else holds is left for the next time.
create function api.sweep_run(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  toolboxes integer;
  enrolments integer;
  grants integer;
  revocations integer;
  sessions integer;
begin
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

  delete from app.session s where s.updated_at < now() - interval '90 days';
  get diagnostics sessions = row_count;

  return jsonb_build_object('toolboxes', toolboxes, 'enrolments', enrolments, 'grants', grants,
    'revocations', revocations, 'sessions', sessions);
end
$$;

grant execute on function api.sweep_run(jsonb) to service;

call gate.adopt();
