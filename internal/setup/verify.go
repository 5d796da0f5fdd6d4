package setup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// headless is how a client is run without its user interface, for one prompt.
//
// It lets tools run without a question: nobody could answer one.
type headless struct {
	// args are the whole command line behind the program.
	args func(prompt string) []string
	// edits says that the client has no tools and changes the file wordFile as the answer says.
	edits bool
}

// wordFile is the file in the folder of a client that is tried.
const wordFile = "word.txt"

// VerifyLimit is how long a client may take for its task.
const VerifyLimit = 5 * time.Minute

// A Verified is what came of running a client.
//
// It is for a person to read. Output has local tokens masked.
type Verified struct {
	Command string // as it was run
	// Took is how long it ran.
	Took time.Duration
	// Worked says that the client's answer has what only a tool of the client could have told the model; of a client that
	// Edits, that the file is as the model was asked to make it.
	Worked, Edits bool
	Output        string // the end of what it printed
}

// Verify runs the real client once, in a folder of its own that holds a file with a random word, and asks for that word. To
// know it, the model has to call a tool, the client has to run it, and the result has to go back to the model. (A client
// without tools is asked to change the word to a random one.) An error means that the client could not be run at all.
//
// environ is the environment of the client, as os.Environ gives it. What the client must find there
// for the gateway g is added. The folder is removed afterwards. It takes five minutes at
// most, costs a turn or two of the model, and is never run by itself.
func Verify(ctx context.Context, m *Machine, c Client, g *Gateway, environ []string) (Verified, error) {
	if c.headless == nil {
		return Verified{}, fmt.Errorf("%s can't be run without its user interface: try it by hand", c.Name)
	}
	program, err := c.program(m)
	if err != nil {
		return Verified{}, err
	}
	dir, err := os.MkdirTemp("", "composer-api-verify-")
	if err != nil {
		return Verified{}, err
	}
	defer os.RemoveAll(dir)
	word, prompt, err := c.headless.task(dir)
	if err != nil {
		return Verified{}, err
	}
	args := c.headless.args(prompt)
	ctx, cancel := context.WithTimeout(ctx, VerifyLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	// Several of the clients go by PWD and not by the folder that they are started in.
	cmd.Dir, cmd.Env = dir, append(slices.Concat(environ, c.environ(m, g)), "PWD="+dir)
	cmd.WaitDelay = 2 * time.Second // grandchildren may hold the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run() // judged by what it printed, too: some clients exit 0 on errors
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, and has left a process behind that holds its output open
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		return Verified{}, fmt.Errorf("%s can't be started: %w", program, err)
	}
	v := Verified{Command: filepath.Base(program) + " " + strings.Replace(strings.Join(args, " "), prompt, "…", 1), Took: time.Since(began), Edits: c.headless.edits}
	found := out.String()
	if v.Edits {
		data, _ := os.ReadFile(filepath.Join(dir, wordFile)) // one that is gone was not edited well
		found = string(data)
	}
	v.Worked = err == nil && strings.Contains(found, word)
	v.Output = maskTokens(tail(out.String()))
	switch {
	case ctx.Err() != nil:
		v.Output += fmt.Sprintf("\n(it did not end within %s)", VerifyLimit)
	case err != nil:
		v.Output += fmt.Sprintf("\n(it ended with %v)", err)
	}
	return v, nil
}

// program is the path of the client's program; the first of its names that is on the PATH.
func (c *Client) program(m *Machine) (string, error) {
	for _, name := range c.programs {
		if path, err := m.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not to be found: there is no %s on the PATH", c.Name, strings.Join(c.programs, " or "))
}

// task writes wordFile into dir, and says what the client is asked to do with it. word is what its answer, or for a client that
// edits the file, must then hold. It is random, so that no model can guess it and no answer of an earlier run can hold it.
func (h *headless) task(dir string) (word, prompt string, err error) {
	word = strings.ToLower(rand.Text()[:10])
	text := word
	prompt = "Run the shell command `cat " + wordFile + "` with your tool, and answer with the word that it prints."
	if h.edits {
		text = "hello"
		prompt = "In the file " + wordFile + ", replace the word hello by the word " + word + "."
	}
	return word, prompt, os.WriteFile(filepath.Join(dir, wordFile), []byte(text+"\n"), 0o600)
}

// environ is what the client must find in its environment, as os.Environ has it.
func (c *Client) environ(m *Machine, g *Gateway) []string {
	var environ []string
	for _, v := range c.target(m, g).variables {
		if v.key {
			if v.value = g.key(m.Getenv(keyVariable)); v.value == "" {
				continue // the client will say what it misses
			}
		}
		environ = append(environ, v.name+"="+v.value)
	}
	return environ
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
