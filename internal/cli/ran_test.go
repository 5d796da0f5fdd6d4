package cli_test

import (
	"net/http"
	"strings"
	"testing"
)

// Every answer names the model that ran, whatever the client has called it.
func TestAnswersNameTheModelThatRan(t *testing.T) {
	s := serve(t, []string{"COMPOSER_ALIASES=gpt-*=composer-2.5,claude-*=cursor/composer-2.5-fast"}, "--demo")
	for asked, ran := range map[string]string{
		"gpt-5.2":                 "composer-2.5",
		"claude-sonnet-4-5":       "composer-2.5-fast",
		"Cursor/COMPOSER-2.5":     "composer-2.5",
		"composer-2.5[fast=true]": "composer-2.5-fast",
	} {
		for path, body := range map[string]string{
			"/v1/chat/completions": `"messages":[{"role":"user","content":"hi"}]`,
			"/v1/completions":      `"prompt":"hi"`,
			"/v1/responses":        `"input":"hi"`,
			"/v1/messages":         `"max_tokens":100,"messages":[{"role":"user","content":"hi"}]`,
		} {
			for _, stream := range []string{"false", "true"} {
				status, answer := s.postTo(t, path, "crsr_demo", `{"model":"`+asked+`","stream":`+stream+`,`+body+`}`)
				if status != http.StatusOK || !strings.Contains(answer, `"model":"`+ran+`"`) || strings.Contains(answer, `"model":"`+asked+`"`) {
					t.Errorf("%s, %s, stream %s: status %d, want %s: %s", path, asked, stream, status, ran, answer)
				}
			}
		}
	}
}
