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
