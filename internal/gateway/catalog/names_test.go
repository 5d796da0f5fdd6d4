package catalog

import (
	"context"
	"testing"

	"composer-api/internal/agent"
)

func TestNamesAreTakenInEveryUsualSpelling(t *testing.T) {
	c := New(Config{Fetch: func(context.Context, agent.Secret) ([]Listed, error) {
		return []Listed{{ID: "Opus-9", Aliases: []string{"Opus"}, Parameters: []Parameter{{ID: "fast"}}}}, nil
	}})
	for name, want := range map[string]string{
		"Composer-2.5":                 "composer-2.5;fast=false",
		"AUTO":                         "composer-2.5;fast=false",
		"cursor/composer-2.5":          "composer-2.5;fast=false",
		"openai/Composer-2.5-Fast":     "composer-2.5;fast=true",
		"cursorsdk/composer-2":         "composer-2;fast=false",
		"composer-2.5[fast=true]":      "composer-2.5;fast=true",
		"composer-2.5-fast[fast=true]": "composer-2.5;fast=true",
		"composer-2.5[fast=false]":     "composer-2.5;fast=false",
		"opus-9":                       "Opus-9;fast=false",
		"OPUS":                         "Opus-9;fast=false",
		"cursor/opus-9[fast=true]":     "Opus-9;fast=true",
	} {
		got, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, name, "")
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", name, got.String(), err, want)
		}
	}
	if _, err := c.Find(t.Context(), agent.Caller{Owner: "o"}, "composer-2.5[fast=maybe]"); agent.CodeOf(err) != agent.ModelNotFound {
		t.Errorf("an unknown value: %v", err)
	}
}
