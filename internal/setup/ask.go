package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"composer-api/internal/agent"
)

// An Answer is what a running gateway says of itself.
type Answer struct {
	// Models are in the gateway's order; nil unless Status is 200.
	Models []Model
	// Status is that of GET /v1/models: 200, or why there are no models.
	Status int
}

// Ask asks a gateway for its models with a key. An error means that nobody answers at root.
//
// A status other than 200 is no error: it is in the answer, and says for instance that the gateway
// has no key of its own (401). The key goes to root and nowhere else. It takes 15 seconds at most
// and reads 4 MiB at most. An answer of 200 that is no list of models is an error: something else
// listens there.
func Ask(ctx context.Context, client *http.Client, root string, key agent.Secret) (Answer, error) {
	const limit, maxBody = 15 * time.Second, 4 << 20
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/v1/models", nil)
	if err != nil {
		return Answer{}, err
	}
	if !key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	answer := Answer{Status: resp.StatusCode}
	if resp.StatusCode != http.StatusOK {
		return answer, nil
	}
	// The fields of GET /v1/models that clients are told of. context_window is our own addition to
	// OpenAI's list.
	var list struct {
		Data []struct {
			ID      string `json:"id"`
			Name    string `json:"name"`
			Context int    `json:"context_window"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&list); err != nil {
		return Answer{}, fmt.Errorf("%s does not answer as a gateway: %w", root, err)
	}
	for _, m := range list.Data {
		answer.Models = append(answer.Models, Model{ID: m.ID, Name: m.Name, Context: m.Context})
	}
	return answer, nil
}

// Choose puts the wanted model first, completes what the catalogue leaves open, and is an error when there is no such model.
// With wanted "" the first stays.
//
// models is not changed.
func Choose(models []Model, wanted string) ([]Model, error) {
	all := slices.Clone(models)
	for i := range all {
		if all[i].Name == "" {
			all[i].Name = all[i].ID
		}
		if all[i].Context == 0 {
			all[i].Context = contextTokens
		}
	}
	if wanted == "" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(m Model) bool { return m.ID == wanted })
	if i < 0 {
		return nil, fmt.Errorf("there is no model %q", wanted)
	}
	// The others keep their order: clients show them as a list.
	chosen := all[i]
	return append([]Model{chosen}, slices.Delete(all, i, i+1)...), nil
}
