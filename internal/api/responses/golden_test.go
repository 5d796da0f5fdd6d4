package responses_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/known"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
)

func TestGolden(t *testing.T) {
	apitest.Run(t, apitest.Surface{
		Name:          "responses",
		StreamMembers: `"stream":true`,
		Document:      "Response",
		Event:         "ResponseStreamEvent",
		Serve:         serve,
	})
}

// serve answers as the real handler does, without a store, when the client has sent every item before.
func serve(w http.ResponseWriter, body []byte, turn func(*agent.Request, agent.Sink) error) {
	sent := known.New(known.Config{Least: 1}).Of("owner")
	responses.Decode(body, sent)
	req, err := responses.Decode(body, sent)
	if err != nil {
		openai.WriteError(w, err)
		return
	}
	request, _, err := req.Turn(nil, nil)
	if err != nil {
		openai.WriteError(w, err)
		return
	}
	a := responses.NewAnswer(w, req, responses.Options{
		ID: "resp_" + strings.Repeat("0", 24), Now: func() time.Time { return apitest.Created },
	})
	defer a.Close()
	if err := turn(request, a); err != nil && !a.Fail(agent.AsError(err)) {
		openai.WriteError(w, err)
	}
}
