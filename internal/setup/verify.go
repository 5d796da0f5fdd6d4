package setup

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// headless is how a client is run without its user interface, for one prompt.
//
// It lets tools run without a question: nobody could answer one.
type headless struct {
	args func(prompt string) []string
}

// verifyLimit is how long a client may take for its task.
const verifyLimit = 3 * time.Minute

// A Verified is what came of running a client.
//
// It is for a person to read. Output has local tokens masked.
type Verified struct {
	Command string // as it was run
	Took    time.Duration
	// Worked says that the client's answer has what only a tool of the client could have told the model.
	Worked bool
	Output string // the end of what it printed
}

// Verify runs the real client once, in a folder of its own that holds a file with a random word, and asks for that word. To
// know it, the model has to call a tool, the client has to run it, and the result has to go back to the model. An error
// means that the client could not be run at all.
//
// environ is the environment of the client, as os.Environ gives it: with a client that is set up by
// a variable it has to hold the key. The folder is removed afterwards. It takes three minutes at
// most, costs a turn or two of the model, and is never run by itself.
func Verify(ctx context.Context, m *Machine, c Client, environ []string) (Verified, error) {
	if c.headless == nil {
		return Verified{}, fmt.Errorf("%s can't be run without its user interface: try it by hand", c.Name)
	}
	program := ""
	for _, name := range c.programs {
		if path, err := m.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		return Verified{}, fmt.Errorf("%s is not to be found: there is no %s on the PATH", c.Name, strings.Join(c.programs, " or "))
	}
	dir, err := os.MkdirTemp("", "composer-api-verify-")
	if err != nil {
		return Verified{}, err
	}
	defer os.RemoveAll(dir)
	// Random, so that no model can guess it and no answer of an earlier run can hold it.
	word := strings.ToLower(rand.Text()[:10])
	if err := os.WriteFile(filepath.Join(dir, "word.txt"), []byte(word+"\n"), 0o600); err != nil {
		return Verified{}, err
	}
	args := c.headless.args("Run the shell command `cat word.txt` with your tool, and answer with the word that it prints.")
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, environ
	cmd.WaitDelay = 2 * time.Second // grandchildren may hold the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run() // judged by what it printed: some clients exit 0 on errors
	v := Verified{Command: filepath.Base(program) + " " + strings.Join(args[:len(args)-1], " ") + " …", Took: time.Since(began)}
	v.Worked = err == nil && strings.Contains(out.String(), word)
	v.Output = maskTokens(tail(out.String()))
	if ctx.Err() != nil {
		v.Output += fmt.Sprintf("\n(it did not end within %s)", verifyLimit)
	}
	return v, nil
}

// tail is the end of a text, from the beginning of a line.
//
// 4,000 bytes at most: the cause of a failure stands at the end.
func tail(text string) string {
	const most = 4000
	text = strings.TrimSpace(text)
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	return text[strings.IndexByte(text, '\n')+1:]
}
