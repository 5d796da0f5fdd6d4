package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// The scenarios that look at single moments: a start, a client that leaves, a neighbour that is slow or large.

// A beginning is what the gateway is before it has done anything.
type beginning struct {
	start  spread  // ms from the process's start to the end of its first answer, with a fresh database
	idle   float64 // MiB of resident memory a second later
	binary float64 // MB
}

// cold starts the gateway a few times.
func (l *lab) cold(ctx context.Context, upstream *server, times int) (b beginning, err error) {
	var starts []float64
	for range times {
		// The database is new each time, so its schema is made, too.
		begin := time.Now()
		s, err := l.behind(ctx, nameOurs, upstream)
		if err != nil {
			return b, err
		}
		c := newClient(s.url)
		_, err = c.stream(ctx, short(plan{events: 1}, true), nil)
		// Up to the end of the answer, and with the start of the process.
		starts = append(starts, milliseconds(time.Since(begin)))
		c.close()
		if err == nil && b.idle == 0 {
			err = pause(ctx, time.Second)
			n, _ := residentMemory(s.pid)
			b.idle = float64(n) / (1 << 20)
		}
		s.stop()
		if err != nil {
			return b, err
		}
	}
	b.start = spreadOf(starts)
	info, err := os.Stat(l.gateway)
	if err != nil {
		return b, err
	}
	b.binary = float64(info.Size()) / 1e6
	return b, nil
}

// leaving lets clients leave in the middle of their answers. The result is how long after each the mock saw its stream reset.
func leaving(ctx context.Context, s, upstream *server, clients int) (*delays, error) {
	c := newClient(s.url)
	defer c.close()
	resets := new(delays)
	err := each(ctx, clients, 8, func(ctx context.Context, i int) error {
		// Each client leaves by itself, and asks the mock then when it was noticed.
		one, leave := context.WithCancel(ctx)
		defer leave()
		// The number from 1: a plan without one has 0.
		resp, err := c.open(one, short(plan{id: i + 1, events: 1, silent: time.Hour}, true))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		at := time.Now()
		leave()
		// The mock answers when it has noticed. Its clock is ours: both run on this machine.
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, upstream.url+"/left/"+strconv.Itoa(i+1), nil)
		if err != nil {
			return err
		}
		told, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer told.Body.Close()
		var nanos int64
		err = json.NewDecoder(told.Body).Decode(&nanos)
		resets.add(time.Unix(0, nanos).Sub(at))
		return err
	})
	return resets, err
}

// A neighbour makes ready what it needs, and returns what works beside the streams until ctx ends.
type neighbour func(t *trial) (work func(ctx context.Context) error)

// beside is paced streams with a neighbour that works until they are over. The delays are the streams'.
func beside(streams, words int, every time.Duration, other neighbour) load {
	return func(ctx context.Context, t *trial) error {
		work := other(t)
		// The neighbour ends when the streams are over.
		next, stop := context.WithCancel(ctx)
		over := make(chan error, 1)
		go func() { over <- work(next) }()
		err := paced(streams, words, every)(ctx, t)
		stop()
		// The stream's own error counts first: a neighbour may fail because of it.
		if failed := <-over; err == nil && ctx.Err() == nil {
			err = failed
		}
		return err
	}
}

// nobody is the neighbour that isn't there.
func nobody(*trial) func(context.Context) error { return func(context.Context) error { return nil } }

// slowReader asks for more than any buffer holds, and reads nothing of it.
func slowReader(t *trial) func(context.Context) error {
	return func(ctx context.Context) error {
		// A bare connection: an HTTP client would read the answer into buffers of its own.
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.server.url[len("http://"):])
		if err != nil {
			return err
		}
		defer conn.Close()
		r := short(plan{events: 1_000_000, burst: 100}, true)
		head := "POST " + r.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer crsr_bench\r\nContent-Length: " +
			strconv.Itoa(len(r.body)) + "\r\n\r\n"
		if _, err := conn.Write(append([]byte(head), r.body...)); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
}

// largePrompts sends prompts of that size, one after the other, most of them at most. Meanwhile another number is put into each
// message, and nothing is encoded: the work that the streams notice is to be the server's and not ours.
func largePrompts(size, most int) neighbour {
	return func(t *trial) func(context.Context) error {
		r := chat(plan{events: 1}, true, conversation(agentMessages, size, t.seed*1000), offered(agentTools))
		first := seedText(t.seed * 1000)
		c := newClient(t.server.url)
		return func(ctx context.Context) error {
			defer c.close()
			for i := 0; i < most && ctx.Err() == nil; i++ {
				one := r
				one.body = bytes.ReplaceAll(r.body, []byte(first), []byte(seedText(t.seed*1000+i)))
				if _, err := c.stream(ctx, one, nil); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		}
	}
}
