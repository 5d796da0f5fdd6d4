package h2client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"composer-api/internal/h2client"
)

// What a client has to do, whoever wrote it: each case is held against net/http's client, too.

func TestARequestAndItsResponse(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t, "first ", "second")
		got := w.server.take(http2.FrameHeaders, http2.FrameData)
		if len(got) < 2 || got[0].fields[":path"] != "/run" || got[0].fields[":method"] != "POST" || got[0].fields[":authority"] != "server" || got[0].fields["x-test"] != "yes" || got[0].end {
			t.Fatalf("the server got %+v", got)
		}
		w.server.headers(1, false, ":status=200", "content-type=a/b", "two=1", "two=2")
		resp := x.response(t)
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.Header.Get("Content-Type") != "a/b" || strings.Join(resp.Header["Two"], "") != "12" {
			t.Errorf("%+v", resp)
		}
		x.body.put("third")
		if text, end := w.server.data(1); text != "third" || end {
			t.Errorf("the server got %q, %v", text, end)
		}
		w.server.say(1, "hello ")
		w.server.say(1, "world")
		w.server.headers(1, true, "trailer=x")
		if text := x.text(t); text != "hello world" {
			t.Errorf("got %q", text)
		}
		if w.InFlight() != 1 {
			t.Error("the stream is over, although the request is not")
		}
		x.body.put("last")
		x.body.finish()
		if text, end := w.server.data(1); text != "last" || !end {
			t.Errorf("the server got %q, %v", text, end)
		}
		if w.InFlight() != 0 || w.Err() != nil {
			t.Errorf("%d streams, %v", w.InFlight(), w.Err())
		}
	})
}

func TestAResponseWithoutABody(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.headers(1, true, ":status=401")
		if text := x.text(t); x.resp.StatusCode != 401 || text != "" {
			t.Errorf("%d, %q", x.resp.StatusCode, text)
		}
	})
}

func TestAResponseShorterThanItSaysIsAnError(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.headers(1, false, ":status=200", "content-length=5")
		w.server.say(1, "four")
		w.server.end(1)
		if b, err := io.ReadAll(x.response(t).Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(b) != "four" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestInformationalResponsesArePassedOver(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.headers(1, false, ":status=103", "link=x")
		w.server.headers(1, false, ":status=103")
		w.server.answer(1)
		w.server.end(1)
		if x.text(t); x.resp.StatusCode != 200 || x.resp.Header.Get("Link") != "" {
			t.Errorf("%+v", x.resp)
		}
	})
}

func TestHeadersMayTakeSeveralFrames(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		long := strings.Repeat("x", 40<<10)
		x := w.send(t, http.Header{"Long": {long}})
		if got := w.server.take(http2.FrameHeaders); len(got) != 1 || got[0].fields["long"] != long {
			t.Fatalf("%d requests", len(got))
		}
		block := w.server.block(":status=200", "answer="+long[:30<<10])
		w.server.out.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:10]})
		w.server.out.WriteContinuation(1, false, block[10:15_000])
		w.server.out.WriteContinuation(1, true, block[15_000:])
		if x.response(t).Header.Get("Answer") != long[:30<<10] {
			t.Errorf("%v", x.resp.Header)
		}
	})
}

// A server whose windows are small gets never more than it allows, and in the end everything.
func TestTheServersWindowsAreKept(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		text := strings.Repeat("0123456789", 10_000)
		x := w.begin(t, text)
		got, _ := w.server.data(1)
		if len(got) != 1000 {
			t.Fatalf("%d bytes, 1000 were allowed", len(got))
		}
		w.server.out.WriteWindowUpdate(1, 500)
		more, _ := w.server.data(1)
		if got += more; len(more) != 500 {
			t.Fatalf("%d bytes, 500 were allowed", len(more))
		}
		// A smaller window makes the room negative: the next 600 bytes of room are to make up for it.
		w.server.out.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 400})
		w.server.out.WriteWindowUpdate(1, 600)
		if more, _ := w.server.data(1); more != "" {
			t.Fatalf("%d bytes, none was allowed", len(more))
		}
		w.server.out.WriteWindowUpdate(1, 1)
		more, _ = w.server.data(1)
		if got += more; len(more) != 1 {
			t.Fatalf("%d bytes, 1 was allowed", len(more))
		}
		// A larger one gives room at once, up to the connection's.
		w.server.out.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		more, _ = w.server.data(1)
		if got += more; len(got) != 65535 {
			t.Fatalf("%d bytes, the connection allows 65535", len(got))
		}
		w.server.out.WriteWindowUpdate(0, 1<<20)
		x.body.finish()
		more, end := w.server.data(1)
		if got += more; got != text || !end {
			t.Errorf("%d bytes, end: %v", len(got), end)
		}
	})
}

// The end of a request needs no room.
func TestARequestEndsWithoutRoom(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4})
		x := w.begin(t, "four")
		if text, end := w.server.data(1); text != "four" || end {
			t.Fatalf("%q, %v", text, end)
		}
		x.body.finish()
		if text, end := w.server.data(1); text != "" || !end {
			t.Errorf("%q, %v", text, end)
		}
	})
}

// While one request is long, another one gets its turn. net/http's takes a frame as large as the window for the first.
func TestALongRequestDoesNotHoldUpOthers(t *testing.T) {
	only(t, func(t *testing.T, w *world) {
		w.greeted(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
		w.begin(t, strings.Repeat("x", 1<<20)) // takes all of the connection's window
		short := w.begin(t)
		w.server.take()
		short.body.put("short")
		w.server.out.WriteWindowUpdate(0, 60<<10)
		if text, _ := w.server.data(3); text != "short" {
			t.Errorf("the server got %q", text)
		}
	})
}

// A response that nobody reads holds up no other, and stops at its window.
func TestAReaderThatHasStoppedHoldsUpNobody(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		w.begin(t)
		other := w.begin(t)
		w.server.answer(1)
		w.server.answer(3)
		for range config.StreamWindow / (16 << 10) {
			w.server.say(1, strings.Repeat("x", 16<<10))
		}
		for _, f := range w.server.take(http2.FrameWindowUpdate) {
			if f.id == 1 {
				t.Errorf("%d bytes more are allowed, and nobody reads", f.room)
			}
		}
		w.server.say(3, "hello")
		w.server.end(3)
		if text := other.text(t); text != "hello" {
			t.Errorf("got %q", text)
		}
	})
}

// A reader gets everything, and the server is told of the room in time, padding included.
func TestRoomIsGivenBack(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		resp := x.response(t)
		read := make(chan int)
		go func() {
			b, _ := io.ReadAll(resp.Body)
			read <- len(b)
		}()
		room := map[uint32]int{0: 65535, 1: config.StreamWindow}
		take := func() {
			for _, f := range w.server.take(http2.FrameWindowUpdate) {
				room[f.id] += int(f.room)
			}
		}
		const data, padding, frames = 1000, 200, 2000
		for range frames {
			if take(); room[0] < data+padding+1 || room[1] < data+padding+1 {
				t.Fatalf("no room is left: %v", room)
			}
			w.server.out.WriteDataPadded(1, false, make([]byte, data), make([]byte, padding))
			room[0] -= data + padding + 1
			room[1] -= data + padding + 1
		}
		w.server.end(1)
		if n := <-read; n != data*frames {
			t.Errorf("%d bytes were read", n)
		}
	})
}

func TestAResetBeforeTheResponse(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t, "x")
		w.server.out.WriteRSTStream(1, http2.ErrCodeInternal)
		x.failure(t)
		if !x.body.closed() || w.InFlight() != 0 || w.Err() != nil {
			t.Errorf("closed: %v, %d streams, %v", x.body.closed(), w.InFlight(), w.Err())
		}
	})
}

// What had come before the reset is read first.
func TestAResetAmidTheResponse(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		w.server.say(1, "half")
		w.server.out.WriteRSTStream(1, http2.ErrCodeInternal)
		b, err := io.ReadAll(x.response(t).Body)
		if string(b) != "half" || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%q, %v", b, err)
		}
		if !x.body.closed() || w.InFlight() != 0 {
			t.Errorf("closed: %v, %d streams", x.body.closed(), w.InFlight())
		}
	})
}

// A server that has answered doesn't want the rest of the request: that is no error.
func TestAResetAfterTheResponse(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		w.server.say(1, "whole")
		w.server.end(1)
		w.server.out.WriteRSTStream(1, http2.ErrCodeNo)
		if text := x.text(t); text != "whole" {
			t.Errorf("got %q", text)
		}
	})
}

func TestARefusedStreamIsUnprocessed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.out.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		if err := x.failure(t); w.kind == ours && !errors.Is(err, h2client.ErrUnprocessed) {
			t.Error(err)
		}
		w.server.answer(1) // was under way
		if w.begin(t); w.Err() != nil {
			t.Error(w.Err())
		}
	})
}

// A server that goes away finishes the streams that it has seen.
func TestGoingAway(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		seen, unseen := w.begin(t), w.begin(t)
		w.server.out.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
		if synctest.Wait(); w.Available() != 0 || w.InFlight() != 2 {
			t.Errorf("%d places, %d streams", w.Available(), w.InFlight())
		}
		w.server.out.WriteGoAway(1, http2.ErrCodeNo, nil)
		if err := unseen.failure(t); w.kind == ours && !errors.Is(err, h2client.ErrUnprocessed) {
			t.Error(err)
		}
		w.server.answer(1)
		w.server.say(1, "still here")
		w.server.end(1)
		if text := seen.text(t); text != "still here" {
			t.Errorf("got %q", text)
		}
		seen.body.finish()
		if !w.server.gone() {
			t.Error("the connection is open, and of no use")
		}
	})
}

// A server that has had enough is not asked again at once.
func TestGoingAwayWithAnError(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.out.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
		if err := x.failure(t); errors.Is(err, h2client.ErrUnprocessed) || !strings.Contains(err.Error(), "ENHANCE_YOUR_CALM") {
			t.Error(err)
		}
	})
}

func TestTheServersLimitOfStreamsIsKept(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		if n := w.Available(); n != 100 {
			t.Errorf("%d places before the server has said how many", n)
		}
		w.greeted(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
		first := w.begin(t)
		w.begin(t)
		if w.Available() != 0 || w.Reserve() == nil {
			t.Error("there is place for a third stream")
		}
		w.server.answer(1)
		w.server.end(1)
		first.text(t)
		first.body.finish()
		if synctest.Wait(); w.Available() != 1 {
			t.Errorf("%d places after the end of the first stream", w.Available())
		}
		w.server.out.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
		if synctest.Wait(); w.Available() != 0 {
			t.Errorf("%d places after the server has changed its mind", w.Available())
		}
	})
}

// A server that remembers no headers decodes what comes after it has said so.
func TestTheServersHeaderTableIsKept(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		w.begin(t)
		for _, size := range []uint32{0, 4096, 100} {
			w.server.out.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
			w.begin(t)
		}
		got := w.server.take(http2.FrameHeaders)
		if len(got) != 4 || w.server.gone() {
			t.Fatalf("%d requests", len(got))
		}
		for _, f := range got {
			if f.fields["x-test"] != "yes" {
				t.Errorf("%v", f.fields)
			}
		}
	})
}

func TestPingsAreAnswered(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		w.server.take()
		w.server.out.WritePing(false, [8]byte{'h', 'i'})
		if got := w.server.take(http2.FramePing); len(got) != 1 || !got[0].ack || got[0].data[:2] != "hi" {
			t.Errorf("%+v", got)
		}
	})
}

// A server that is silent is asked, and given up when it stays so.
func TestASilentServerIsGivenUp(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		time.Sleep(config.PingAfter - time.Second)
		w.server.answer(1)
		time.Sleep(config.PingAfter + time.Second)
		got := w.server.take(http2.FramePing)
		if len(got) != 1 || got[0].ack {
			t.Fatalf("pings: %+v", got)
		}
		w.server.out.WritePing(true, [8]byte([]byte(got[0].data)))
		time.Sleep(config.PingAfter + time.Second)
		if got := w.server.take(http2.FramePing); len(got) != 1 || w.Err() != nil {
			t.Fatalf("pings after an answer: %+v, %v", got, w.Err())
		}
		time.Sleep(config.PingTimeout)
		if _, err := x.response(t).Body.Read(make([]byte, 1)); err == nil || w.Err() == nil || !w.server.gone() {
			t.Errorf("%v, %v", err, w.Err())
		}
	})
}

func TestAConnectionThatIsNotUsedIsClosed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		pings := func(d time.Duration) { // a second at a time, as a server would answer
			for range d / time.Second {
				time.Sleep(time.Second)
				for _, f := range w.server.take(http2.FramePing) {
					w.server.out.WritePing(true, [8]byte([]byte(f.data)))
				}
			}
		}
		x := w.begin(t)
		pings(config.IdleTimeout)
		if w.Err() != nil {
			t.Fatal(w.Err())
		}
		w.server.headers(1, true, ":status=200")
		x.text(t)
		x.body.finish()
		pings(config.IdleTimeout - time.Second)
		if w.server.gone() {
			t.Error("it was closed early")
		}
		if pings(2 * time.Second); !w.server.gone() || w.Err() == nil {
			t.Error("it is still open")
		}
	})
}

func TestAConnectionThatBreaks(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		waits, reads := w.begin(t), w.begin(t)
		w.server.answer(3)
		w.server.say(3, "half")
		reads.response(t)
		w.server.conn.Close()
		if err := waits.failure(t); w.kind == ours && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		b, err := io.ReadAll(reads.resp.Body)
		if string(b) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, %v", b, err)
		}
		if !waits.body.closed() || !reads.body.closed() || w.Err() == nil || w.Available() != 0 {
			t.Errorf("closed: %v, %v; %v", waits.body.closed(), reads.body.closed(), w.Err())
		}
	})
}

// Who leaves before the response is there resets the stream at once.
func TestARequestThatIsCanceledIsReset(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		x.cancel()
		if err := x.failure(t); err.Error() != "context canceled" {
			t.Error(err)
		}
		if got := w.server.resets(); got[1] != http2.ErrCodeCancel || len(got) != 1 {
			t.Errorf("%v", got)
		}
		w.server.answer(1) // was under way
		w.server.say(1, "too late")
		// net/http's counts it until a ping is answered.
		if synctest.Wait(); w.Err() != nil || w.kind == ours && w.InFlight() != 0 {
			t.Errorf("%v, %d streams", w.Err(), w.InFlight())
		}
	})
}

func TestABodyThatIsClosedIsReset(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t)
		w.server.answer(1)
		w.server.say(1, "unread")
		x.body.Close()
		x.response(t).Body.Close()
		if got := w.server.resets(); got[1] != http2.ErrCodeCancel {
			t.Errorf("%v", got)
		}
		if n, err := x.resp.Body.Read(make([]byte, 10)); n > 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		w.server.say(1, "too late")
		if synctest.Wait(); w.Err() != nil || w.InFlight() != 0 {
			t.Errorf("%v, %d streams", w.Err(), w.InFlight())
		}
	})
}

// A request whose body ends with an error is reset, so that the server doesn't take it for whole.
func TestABodyThatFailsIsReset(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		x := w.begin(t, "half")
		x.body.Close()
		x.failure(t)
		if got := w.server.resets(); got[1] != http2.ErrCodeCancel {
			t.Errorf("%v", got)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.greeted()
		waits, reads := w.begin(t), w.begin(t)
		w.server.answer(3)
		reads.response(t)
		w.Close()
		waits.failure(t)
		if _, err := reads.resp.Body.Read(make([]byte, 1)); err == nil || !w.server.gone() || w.Reserve() == nil {
			t.Error(err)
		}
	})
}
