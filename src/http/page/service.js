// Asks the service, with the token that somebody gave.

let token = "";  // of this tab, while it is open

export function useToken(text) {
  token = text;
}

export function hasToken() {
  return token !== "";
}

export function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(method, target) {
  const response = await fetch(target, { method, headers: authorization(), cache: "no-store" });
  const body = await response.json();
  if (!response.ok) throw new Refused(response.status, body.detail || response.statusText);
  return body;
}
