-- The certificate that a toolbox's gateway shows when it is called over TLS. Only an enrolment sets it: whoever holds the
-- toolbox's key, or checks in for it, cannot put another in its place.

alter table app.toolbox
  -- SHA-256 of the certificate's DER, lower-case hex; null when it enrolled without one.
  add column certificate text check (certificate ~ '^[0-9a-f]{64}$');

create or replace function api.toolbox_enrol(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox;
begin
  update app.toolbox set
      enrolment_hash = null, enrolment_expires_at = null, public_key = $1->>'public_key', gateway = $1->>'gateway',
      certificate = $1->>'certificate', version = $1->>'version', state = 'online', last_seen_at = now()
    where enrolment_hash = $1->>'token_hash' and enrolment_expires_at > now()
    returning * into box;
  if not found then
    raise exception using errcode = 'PT403', message = 'This enrolment token is not good, or no longer.',
      hint = 'A token works once, within the hour: make a new toolbox with POST /api/toolboxes.';
  end if;
  return jsonb_build_object('toolbox_id', box.id, 'owner', box.owner);
end
$$;

-- What a toolbox proves itself with: its requests with a key, its gateway with a certificate.
create or replace function api.toolbox_key(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  box app.toolbox;
begin
  select * into box from app.toolbox where id = ($1->>'id')::uuid and public_key is not null;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.',
      hint = 'Enrol the toolbox again.';
  end if;
  return jsonb_build_object('public_key', box.public_key, 'owner', box.owner, 'certificate', box.certificate);
end
$$;

call gate.adopt();
