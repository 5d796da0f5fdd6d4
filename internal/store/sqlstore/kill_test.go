package sqlstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/sqlstore"
)

const (
	kills     = 50
	newEvery  = 5 // every fifth kill hits a new database, while it is being migrated
	writerEnv = "COMPOSER_TEST_WRITER"
)

// TestNothingAcknowledgedIsLostWhenTheProcessIsKilled kills a writing process again and again. After each kill the
// database must open, and hold everything that the process has said it wrote.
func TestNothingAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	dsn := sqliteDSN(t)
	acknowledged := 0
	for round := range kills {
		target, patience := dsn, random.IntN(60)
		if round%newEvery == 0 {
			target, patience = sqliteDSN(t), 0
		}
		first := 1_000_000 * round
		written := killWriter(t, target, first, patience)
		acknowledged += len(written)
		checkWritten(t, target, written)
	}
	if acknowledged < kills {
		t.Errorf("only %d writes were acknowledged in all: the test shows nothing", acknowledged)
	}
	var verdict string
	if err := rawSQLite(t, dsn).QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}

// killWriter starts a process that writes, kills it after it has said something patience times, and returns the numbers
// of the writes that it has acknowledged.
func killWriter(t *testing.T, dsn string, first, patience int) (written []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$", "-test.v")
	cmd.Env = append(os.Environ(), writerEnv+"="+strconv.Itoa(first)+" "+dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() {
		word, number, _ := strings.Cut(said.Text(), " ")
		switch word {
		case "failed":
			t.Errorf("the writer %s", said.Text())
		case "wrote":
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			written = append(written, n)
		case "opening":
		default:
			continue // the testing package's own lines
		}
		if patience--; patience < 0 {
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // it was killed, so this is an error
	return written
}

// TestWriterProcess is the process that is killed. It writes from several goroutines until then.
func TestWriterProcess(t *testing.T) {
	number, dsn, ok := strings.Cut(os.Getenv(writerEnv), " ")
	if !ok {
		t.Skip("only runs as a child of the test above")
	}
	first, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("opening")
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := first + g*100_000; ; n++ {
				if err := write(t, db, n); err != nil {
					fmt.Println("failed", n, err)
					return
				}
				fmt.Println("wrote", n)
			}
		})
	}
	wg.Wait()
}

// write makes an account, a key, a log, a response and its events, all named by n.
func write(t *testing.T, db store.Store, n int) error {
	name := strconv.Itoa(n)
	events := []store.Event{{Sequence: 0, Data: []byte(name)}, {Sequence: 1, Data: make([]byte, n%5000)}}
	_, err := db.SignUp(t.Context(), store.Account{ID: name, SealedKey: []byte(name)}, store.Key{ID: name, Account: name}, store.SignUpRule{})
	return errors.Join(err,
		db.BeginRequest(t.Context(), store.RequestLog{ID: name, Account: name}),
		db.CreateResponse(t.Context(), store.Response{Owner: name, ID: name, Object: []byte(name), Expires: time.Now().Add(time.Hour)}),
		db.AppendEvents(t.Context(), name, name, events))
}

// checkWritten opens the database and looks for what was written.
func checkWritten(t *testing.T, dsn string, numbers []int) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn})
	if err != nil {
		t.Fatalf("the database does not open after a kill: %v", err)
	}
	defer db.Close()
	for _, n := range numbers {
		name := strconv.Itoa(n)
		_, a, err := db.Key(t.Context(), name)
		if err != nil || string(a.SealedKey) != name {
			t.Errorf("account %d was acknowledged and is gone: %v", n, err)
		}
		if logs, err := db.ListRequests(t.Context(), store.RequestQuery{Account: name, Limit: 1}); err != nil || len(logs) != 1 {
			t.Errorf("log %d was acknowledged and is gone: %v", n, err)
		}
		if r, err := db.Response(t.Context(), name, name); err != nil || string(r.Object) != name {
			t.Errorf("response %d was acknowledged and is gone: %v", n, err)
		}
		if events, err := db.ListEvents(t.Context(), name, name, -1, 10); err != nil || len(events) != 2 || len(events[1].Data) != n%5000 {
			t.Errorf("the events of %d were acknowledged and are gone: %v", n, err)
		}
	}
}
