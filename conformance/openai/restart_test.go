package openai

import (
	"testing"

	"composer-api/conformance/harness"
)

// stored is a gateway with a database that outlives it.
type stored struct {
	*harness.Gateway
	t   *testing.T
	sim *harness.Sim
	db  string
}

func startStored(t *testing.T, script string) *stored {
	t.Helper()
	s := &stored{t: t, sim: harness.StartSim(t), db: t.TempDir() + "/composer.db"}
	s.sim.Play(script)
	s.start()
	return s
}

// start starts the gateway, again after its end.
func (s *stored) start() { s.Gateway = harness.StartGatewayOn(s.t, s.sim, s.db) }

// run runs a client, and fails the test unless it prints want. id is what the client sees as process.env.ID.
func (s *stored) run(client, id, want string) {
	s.t.Helper()
	if got := harness.RunNode(s.t, prelude+client, append(env(s.Gateway), "ID="+id)...); got != want {
		s.t.Errorf("the client prints\n%swant\n%s", got, want)
	}
}

// create runs a client and returns what it prints: an id.
func (s *stored) create(client string) string {
	s.t.Helper()
	return harness.RunNode(s.t, prelude+client, env(s.Gateway)...)
}

func TestAStoredConversationOutlivesTheGateway(t *testing.T) {
	if harness.Upstream() == "sdkbridge" {
		t.Skip("Cursor's bridge keeps conversations for as long as the gateway runs")
	}
	t.Parallel()
	s := startStored(t, `
turn
text I am Composer.
turn when continued
expect prompt Who am I?
text I don't know yours.
`)
	id := s.create(`
const first = await client.responses.create({ model, input: 'Who are you?' });
process.stdout.write(first.id);
`)
	s.Stop()
	s.start()
	s.run(`
const { ID } = process.env;
show('still', (await client.responses.retrieve(ID)).output_text);
const { data, response } = await client.responses.create({ model, input: 'Who am I?', previous_response_id: ID }).withResponse();
show(response.headers.get('x-composer-resume'), data.output_text);
const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: 'crsr_stranger', maxRetries: 0 });
await showError('retrieved by another', stranger.responses.retrieve(ID));
await showError('continued by another', stranger.responses.create({ model, input: 'Who am I?', previous_response_id: ID }));
`, id, `still: "I am Composer."
memory: "I don't know yours."
retrieved by another: {"class":"NotFoundError","status":404,"code":null,"type":"invalid_request_error","param":null}
continued by another: {"class":"BadRequestError","status":400,"code":"previous_response_not_found","type":"invalid_request_error","param":"previous_response_id"}
`)
}

func TestAStoredCallIsAnsweredAfterAKill(t *testing.T) {
	t.Parallel()
	s := startStored(t, `
turn
call look {}
turn
expect prompt Look at it.
expect prompt what-was-seen
text It is green.
`)
	const tools = "const tools = [{ type: 'function', name: 'look', parameters: { type: 'object', properties: {} } }];\n"
	ids := s.create(tools + `
const asked = await client.responses.create({ model, input: 'Look at it.', tools });
process.stdout.write(asked.id + ' ' + asked.output.find((i) => i.type === 'function_call').call_id);
`)
	s.Kill()
	s.start()
	s.run(tools+`
const [id, call_id] = process.env.ID.split(' ');
const { data, response } = await client.responses.create({
  model, tools, previous_response_id: id, input: [{ type: 'function_call_output', call_id, output: 'what-was-seen' }],
}).withResponse();
show(response.headers.get('x-composer-resume'), data.output_text);
`, ids, "transcript: \"It is green.\"\n")
	if runs := s.sim.AwaitIdle(); len(runs) != 2 || len(runs[1].Failures) > 0 {
		t.Errorf("the runs went\n%s", harness.Summary(runs))
	}
}

// TestABackgroundResponseOfADeadGatewayFails takes as long as the lease by which a gateway is known to be alive.
func TestABackgroundResponseOfADeadGatewayFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(*harness.Gateway)
	}{
		{"stopped", func(g *harness.Gateway) { g.Stop() }},
		{"killed", func(g *harness.Gateway) { g.Kill() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startStored(t, "turn\ntext It begins.\nhold")
			id := s.create(`
const { id } = await client.responses.create({ model, input: 'Talk.', background: true });
let response;
do response = await client.responses.retrieve(id); while (response.status !== 'in_progress');
process.stdout.write(id);
`)
			tc.end(s.Gateway)
			s.start()
			s.run(`
const { setTimeout } = await import('node:timers/promises');
let response;
while ((response = await client.responses.retrieve(process.env.ID)).status === 'in_progress') await setTimeout(100);
show('status', response.status);
show('has a code', typeof response.error.code);
`, id, "status: \"failed\"\nhas a code: \"string\"\n")
		})
	}
}
