// Package websocket opens many WebSockets of the Responses API at once, and breaks them in the middle of a turn.
package websocket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// connect opens a socket at gateway. The caller closes it.
func connect(ctx context.Context, gateway *harness.Gateway) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(gateway.URL, "http")+"/v1/responses", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + harness.Key}},
	})
	if err == nil {
		conn.SetReadLimit(1 << 20)
	}
	return conn, err
}

// ask sends a request and reads until an event of the given type, whose data it returns.
func ask(ctx context.Context, conn *websocket.Conn, body, until string) ([]byte, error) {
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"response.create","model":"composer-2.5","store":false,`+body+`}`)); err != nil {
		return nil, err
	}
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		var event struct{ Type string }
		switch err := json.Unmarshal(data, &event); {
		case err != nil:
			return nil, err
		case event.Type == until:
			return data, nil
		case event.Type == "error" || event.Type == "response.failed":
			return nil, fmt.Errorf("%s", data)
		}
	}
}

const tools = `"tools":[{"type":"function","name":"look","parameters":{"type":"object"}}],`

// loop is a task with one tool call on conn, which it leaves open.
func loop(ctx context.Context, conn *websocket.Conn, n int) error {
	data, err := ask(ctx, conn, fmt.Sprintf(`%s"input":"Task %d."`, tools, n), "response.completed")
	if err != nil {
		return err
	}
	var first struct {
		Response struct {
			ID     string
			Output []struct {
				CallID string `json:"call_id"`
			}
		}
	}
	if err := json.Unmarshal(data, &first); err != nil || len(first.Response.Output) != 1 {
		return fmt.Errorf("%s: %v", data, err)
	}
	data, err = ask(ctx, conn, fmt.Sprintf(`%s"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"seen %d"}]`,
		tools, first.Response.ID, first.Response.Output[0].CallID, n), "response.completed")
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), fmt.Sprintf("I have seen %d.", n)) {
		return fmt.Errorf("the answer is %s", data)
	}
	return nil
}

func TestFiveHundredSocketsAtOnce(t *testing.T) {
	const sockets = 500
	sim := harness.StartSim(t)
	sim.Play("turn always\ncall look {}\ntext \"I have {result 1}.\"\n")
	gateway := harness.StartGateway(t, sim)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	errs := make(chan error, sockets)
	busy := make(chan struct{}, 50) // all sockets are open at once, and this many have work
	var opened, done sync.WaitGroup
	opened.Add(sockets)
	for n := range sockets {
		done.Go(func() {
			conn, err := connect(ctx, gateway)
			opened.Done()
			if err != nil {
				errs <- err
				return
			}
			defer conn.CloseNow()
			opened.Wait()
			busy <- struct{}{}
			err = loop(ctx, conn, n)
			<-busy
			if err == nil {
				err = conn.Close(websocket.StatusNormalClosure, "")
			}
			errs <- err
		})
	}
	done.Wait()
	close(errs)
	failed := 0
	for err := range errs {
		if err != nil {
			if failed++; failed <= 3 {
				t.Error(err)
			}
		}
	}
	if runs := sim.AwaitIdle(); failed != 0 || len(runs) != sockets {
		t.Errorf("%d sockets failed; %d runs", failed, len(runs))
	}
}

// TestASocketThatDiesEndsItsRun closes the connection without a word in the middle of an answer.
func TestASocketThatDiesEndsItsRun(t *testing.T) {
	sim := harness.StartSim(t)
	sim.Play("turn\ntext \"It begins. \"\ndelay 10m\ntext never\n")
	gateway := harness.StartGateway(t, sim)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := connect(ctx, gateway)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(ctx, conn, `"input":"Begin."`, "response.output_text.delta"); err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
	if runs := sim.AwaitIdle(); len(runs) != 1 || runs[0].End != "left" {
		t.Errorf("the runs are\n%s", harness.Summary(runs))
	}
}
