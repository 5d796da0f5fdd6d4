package main

import (
	"context"
	"time"
)

// The scenarios about events and requests: small prompts, and answers of all shapes. The unit of work is an event where the
// load is made of long streams, and a request otherwise.

// firstWords asks one question after the other. Its delays are those until the first word.
func firstWords(n int) load {
	return func(ctx context.Context, t *trial) error {
		t.units = n
		// One at a time, so that no request waits for another.
		return each(ctx, n, 1, func(ctx context.Context, _ int) error {
			a, err := t.client.stream(ctx, short(plan{events: 8, burst: 8}, true), nil)
			t.delays.add(a.first)
			return err
		})
	}
}

// headers asks n questions at once of a model that is silent for a while. Its delays are those until the headers.
func headers(n int, silent time.Duration) load {
	return func(ctx context.Context, t *trial) error {
		t.units = n
		// All at once: a server that held the headers back for one would hold them back for all.
		return each(ctx, n, n, func(ctx context.Context, _ int) error {
			a, err := t.client.stream(ctx, short(plan{events: 1, silent: silent}, true), nil)
			t.delays.add(a.headers)
			return err
		})
	}
}

// paced reads streams whose words come one at a time, as a model says them. Its delays are those of the words.
func paced(streams, words int, every time.Duration) load {
	return pacedOn(short, streams, words, every)
}

// pacedOn is paced on the public API that make makes requests for.
func pacedOn(make func(p plan, stream bool) request, streams, words int, every time.Duration) load {
	return func(ctx context.Context, t *trial) error {
		t.units = streams * words
		return each(ctx, streams, streams, func(ctx context.Context, i int) error {
			// The streams' words are spread over the pause, as those of unrelated models are.
			p := plan{events: words, every: every, silent: every * time.Duration(i) / time.Duration(streams)}
			_, err := t.client.stream(ctx, make(p, true), &t.delays)
			return err
		})
	}
}

// gathered is paced, of streams that are all there when the first says its first word. What it takes to begin them doesn't count:
// a request's cost is measured elsewhere, and would be a part of an event's that depends on how many a stream has.
func gathered(streams, words int, every time.Duration) load {
	return func(ctx context.Context, t *trial) error {
		t.units = streams * words
		// Two thousand streams are begun in less than two seconds.
		silent := time.Duration(streams)*time.Second/1000 + time.Second
		// begin is called while the streams are silent; what was used before it doesn't count.
		begun := make(chan error, 1)
		timer := time.AfterFunc(silent, func() { begun <- t.begin() })
		err := each(ctx, streams, streams, func(ctx context.Context, i int) error {
			_, err := t.client.stream(ctx, short(plan{events: words, every: every, silent: silent}, true), &t.delays)
			return err
		})
		if err != nil || timer.Stop() {
			return err
		}
		return <-begun
	}
}

// bursts reads streams whose words come as fast as they can, burst of them in each write.
func bursts(streams, width, words, burst int) load {
	return func(ctx context.Context, t *trial) error {
		t.units = streams * words
		return each(ctx, streams, width, func(ctx context.Context, _ int) error {
			_, err := t.client.stream(ctx, short(plan{events: words, burst: burst}, true), nil)
			return err
		})
	}
}

// wholes asks for answers that aren't streamed.
func wholes(n, width, words int) load {
	return func(ctx context.Context, t *trial) error {
		t.units = n
		return each(ctx, n, width, func(ctx context.Context, _ int) error {
			_, err := t.client.whole(ctx, short(plan{events: words}, false))
			return err
		})
	}
}
