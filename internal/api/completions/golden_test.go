package completions

import (
	"errors"
	"net/http"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/apitest"
	"composer-api/internal/api/openai"
)

func TestGolden(t *testing.T) {
	apitest.Run(t, apitest.Surface{
		Name:          "completions",
		StreamMembers: `"stream":true,"stream_options":{"include_usage":true}`,
		Document:      "CreateCompletionResponse", // of a stream it has no chunk that isn't the last: its finish_reason is null
		Serve:         serve,
	})
}

// serve answers as the real handler does.
func serve(w http.ResponseWriter, body []byte, turn func(*agent.Request, agent.Sink) error) {
	req, err := decode(body)
	if err == nil {
		err = complete(w, req, options{id: "cmpl-test", created: apitest.Created}, turn)
	}
	var told *api.Told
	if err != nil && !errors.As(err, &told) {
		openai.WriteError(w, err)
	}
}
