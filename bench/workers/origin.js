// The origin that stands behind all three services: the cheapest answer there is, so that what is
// measured is the way to it. With `?echo` it tells what it received, for the check that peer and
// Edgewarden hand on the same.

const ANSWER = JSON.stringify({ id: 7, name: "A small thing", tags: ["one", "two"], available: true });

export default {
  fetch(request) {
    if (request.url.endsWith("?echo")) return Response.json([...request.headers]);
    return new Response(ANSWER, { headers: { "content-type": "application/json" } });
  },
};
