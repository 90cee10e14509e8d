// Walks Supabase's own client, unchanged, through a life of an account. Run by accounts.rs with the address of the service.
import assert from "node:assert/strict";
import { GoTrueClient } from "@supabase/auth-js";

const url = process.argv[2];
const client = () => new GoTrueClient({ url, autoRefreshToken: false, persistSession: false, detectSessionInUrl: false });
const email = "Ada@Example.com";
const password = "correct horse";

const ada = client();
{
  const { data, error } = await ada.signUp({ email, password, options: { data: { name: "Ada" } } });
  assert.equal(error, null);
  assert.equal(data.user.email, "ada@example.com");
  assert.equal(data.user.user_metadata.name, "Ada");
  assert.ok(data.session.access_token && data.session.refresh_token && data.session.expires_at > Date.now() / 1000);
}
{
  const { error } = await client().signUp({ email: "ada@example.com", password });
  assert.equal(error.code, "user_already_exists");
}
{
  const { error } = await client().signUp({ email: "short@example.com", password: "short" });
  assert.equal(error.code, "weak_password");
  assert.equal(error.name, "AuthWeakPasswordError");
}
for (const wrong of [{ email, password: "wrong horse" }, { email: "nobody@example.com", password }]) {
  const { error } = await client().signInWithPassword(wrong);
  assert.equal(error.code, "invalid_credentials");
  assert.equal(error.status, 400);
}
const again = client();
{
  const { data, error } = await again.signInWithPassword({ email, password });
  assert.equal(error, null);
  const { data: claims, error: refused } = await again.getClaims();
  assert.equal(refused, null);
  assert.equal(claims.claims.sub, data.user.id);
  assert.equal(claims.claims.role, "authenticated");
  assert.equal(claims.header.alg, "ES256");
}
{
  const { data, error } = await again.getUser();
  assert.equal(error, null);
  assert.equal(data.user.email, "ada@example.com");
}
{
  const { data, error } = await again.updateUser({ data: { city: "London" } });
  assert.equal(error, null);
  assert.deepEqual([data.user.user_metadata.name, data.user.user_metadata.city], ["Ada", "London"]);
}
const spent = (await again.getSession()).data.session.refresh_token;
{
  const { data, error } = await again.refreshSession();
  assert.equal(error, null);
  assert.notEqual(data.session.refresh_token, spent);
}
{
  // The old one again: whoever has it, the session ends for everybody.
  const { error } = await client().refreshSession({ refresh_token: spent });
  assert.equal(error.code, "refresh_token_already_used");
  const { error: over } = await again.getUser();
  assert.equal(over.name, "AuthSessionMissingError");
  const { error: unknown } = await client().refreshSession({ refresh_token: "no such token" });
  assert.equal(unknown.code, "refresh_token_not_found");
}
{
  // The first session is another one and goes on; a new password ends all the others.
  assert.equal((await ada.getUser()).error, null);
  const other = client();
  await other.signInWithPassword({ email, password });
  const { error } = await ada.updateUser({ password: "a better horse" });
  assert.equal(error, null);
  assert.equal((await ada.getUser()).error, null);
  assert.notEqual((await other.getUser()).error, null);
  assert.equal((await client().signInWithPassword({ email, password })).error.code, "invalid_credentials");
  assert.equal((await client().signInWithPassword({ email, password: "a better horse" })).error, null);
}
{
  const token = (await ada.getSession()).data.session.access_token;
  assert.equal((await ada.signOut()).error, null);
  assert.equal((await client().getUser(token)).error.name, "AuthSessionMissingError");
}
console.log("ok");
