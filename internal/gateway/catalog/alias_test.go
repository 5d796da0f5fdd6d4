package catalog

import (
	"testing"

	"composer-api/internal/agent"
)

func TestAliasesStandForModels(t *testing.T) {
	c := New(Config{Fetch: fetchLive, Aliases: []Alias{
		{"gpt-4*-mini", "composer-2"}, {"GPT-*", "composer-2.5"}, {"claude-*", "Composer-2.5-Fast"}, {"exact", "gpt-9"}, {"lost", "no-such-model"}, {"composer*", "composer-2"},
	}})
	for name, want := range map[string]string{
		"gpt-4o":              "composer-2.5;fast=false",
		"GPT-4o-Mini":         "composer-2;fast=false",
		"openai/gpt-4o":       "composer-2.5;fast=false",
		"gpt-9":               "composer-2.5;fast=false", // before the live catalogue
		"claude-opus-4-1":     "composer-2.5;fast=true",
		"exact":               "gpt-9",
		"composer-2.5":        "composer-2.5;fast=false", // never Composer's own names
		"composer-2.5-fast":   "composer-2.5;fast=true",
		"composer-of-the-day": "composer-2;fast=false",
	} {
		got, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, name, "")
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", name, got.String(), err, want)
		}
	}
	// An answer names the model, not the alias.
	if got, err := c.Resolve(t.Context(), agent.Caller{Owner: "o"}, "claude-opus-4-1", ""); err != nil || got.Name != "composer-2.5-fast" {
		t.Errorf("the model is named %q, %v", got.Name, err)
	}
	for _, name := range []string{"lost", "exactly", "gpt", "my-gpt-4"} {
		if _, err := c.Find(t.Context(), agent.Caller{Owner: "o"}, name); agent.CodeOf(err) != agent.ModelNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPatternFits(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false}, {"*", "", true}, {"*", "anything/at-all", true},
		{"a*", "a", true}, {"a*b", "ab", true}, {"a*b", "a", false}, {"a*a", "a", false}, {"a*b*c", "axbxbxc", true}, {"a*b*c", "acb", false}, {"*b", "ab", true}, {"*b*", "abc", true}, {"**", "x", true},
	} {
		if got := fits(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q fits %q: %v", tt.name, tt.pattern, got)
		}
	}
}
