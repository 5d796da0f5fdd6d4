// The Worker before the gateway's container. Answers are streams, which go through as they come.
import { Container, getContainer } from "@cloudflare/containers";

// What the container gets of the Worker's secrets and variables.
const settings = ["COMPOSER_DB", "ENCRYPTION_KEY", "ENCRYPTION_KEY_PREVIOUS", "COMPOSER_PUBLIC_URL", "COMPOSER_SIGNUP",
  "CURSOR_BACKEND_BASE_URL", "CURSOR_LOCAL_AGENT_ENDPOINT", "CURSOR_CHAT_ENDPOINT"];

export class Gateway extends Container {
  defaultPort = 8787;
  // Longer than a run waits for tool results (COMPOSER_PARK_TIMEOUT).
  sleepAfter = "20m";

  constructor(state, env) {
    super(state, env);
    this.envVars = {
      COMPOSER_ADDR: "0.0.0.0:8787",
      COMPOSER_LOG_FORMAT: "json",
      // Nobody but this Worker reaches the container, from an address of a private network.
      COMPOSER_TRUSTED_PROXIES: "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10",
    };
    for (const name of settings) {
      if (env[name]) this.envVars[name] = env[name];
    }
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const headers = new Headers(request.headers);
    for (const name of ["Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix"]) headers.delete(name);
    headers.set("X-Forwarded-For", request.headers.get("CF-Connecting-IP") ?? "");
    headers.set("X-Forwarded-Proto", url.protocol.slice(0, -1));
    headers.set("X-Forwarded-Host", url.host);
    return getContainer(env.GATEWAY).fetch(new Request(request, { headers }));
  },
};
