package config

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFileWithASecretThatOthersCanReadIsWarnedOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file's mode says nothing there")
	}
	warned := []Warning{{Text: ".dev.vars holds ENCRYPTION_KEY and can be read by other users of this machine", Hint: "chmod 600 .dev.vars"}}
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want []Warning
	}{
		{"ENCRYPTION_KEY=hunter2", 0o644, warned},
		{"A=b\nENCRYPTION_KEY=hunter2", 0o640, warned},
		{"ENCRYPTION_KEY=hunter2", 0o600, nil},
		{"ENCRYPTION_KEY=", 0o644, nil},
		{"COMPOSER_ADDR=127.0.0.1:1", 0o644, nil},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, ".dev.vars")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		env, err := NewEnv(nil, dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, env.Warnings()); diff != "" {
			t.Errorf("%q with mode %v (-want +got)\n%s", tt.text, tt.mode, diff)
		}
	}
}

func TestAMisspeltVariableIsWarnedOfWithTheNearestName(t *testing.T) {
	known := []string{
		"COMPOSER_ADDR", "COMPOSER_DB", "COMPOSER_LOG", "COMPOSER_MAX_REQUESTS", "COMPOSER_PARK_TIMEOUT", "COMPOSER_PROGRESS_TIMEOUT",
		"CURSOR_API_BASE", "CURSOR_API_KEY", "CURSOR_BACKEND_BASE_URL", "CURSOR_CHAT_ENDPOINT", "CURSOR_LOCAL_AGENT_ENDPOINT", "ENCRYPTION_KEY",
	}
	const environment, file, none = "environment", ".env line 1", `"composer-api serve --help" lists the settings`
	for _, tt := range []struct{ name, origin, hint string }{
		{"CURSOR_BACKEND_URL", environment, "did you mean CURSOR_BACKEND_BASE_URL?"},
		{"CURSOR_BACKEND_BASEURL", environment, "did you mean CURSOR_BACKEND_BASE_URL?"},
		{"COMPOSER_BACKEND_BASE_URL", environment, "did you mean CURSOR_BACKEND_BASE_URL?"},
		{"CURSOR_LOCALAGENT_ENDPOINT", environment, "did you mean CURSOR_LOCAL_AGENT_ENDPOINT?"},
		{"CURSOR_API_KEYS", environment, "did you mean CURSOR_API_KEY?"},
		{"COMPOSER_ADR", environment, "did you mean COMPOSER_ADDR?"},
		{"COMPOSER_PARKTIMEOUT", file, "did you mean COMPOSER_PARK_TIMEOUT?"},
		{"COMPOSER_SOMETHING_ELSE", file, none},
		{"COMPOSER_SOMETHING_ELSE", environment, ""},
		{"COMPOSER_HOME", environment, ""},
		{"COMPOSER_DEV", environment, ""},
		{"COMPOSER_AUTH", environment, ""},
		{"COMPOSER_ALLOW_SUPERUSER", environment, ""},
		{"COMPOSER_PROCESS_TIMEOUT", environment, ""},
		{"CURSOR_AGENT", environment, ""},
		{"CURSOR_TRACE_ID", environment, ""},
		{"CURSOR_API_KEY", environment, ""},
		{"ENCRYPTION_KYE", file, ""},
	} {
		var environ []string
		dir := t.TempDir()
		if tt.origin == environment {
			environ = []string{tt.name + "=hunter2"}
		} else if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(tt.name+"=hunter2"), 0o600); err != nil {
			t.Fatal(err)
		}
		env, err := NewEnv(environ, dir)
		if err != nil {
			t.Fatal(err)
		}
		var want []Warning
		if tt.hint != "" {
			want = []Warning{{Text: tt.name + " (" + tt.origin + ") is no setting of composer-api", Hint: tt.hint}}
		}
		if diff := cmp.Diff(want, env.Misspelt(known)); diff != "" {
			t.Errorf("%s in %s (-want +got)\n%s", tt.name, tt.origin, diff)
		}
	}
}
