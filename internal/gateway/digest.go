package gateway

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// A Digest identifies a conversation by its content. Two transcripts have the same digest when a model that has
// seen one has in effect seen the other. See decisions/0009. Digests are kept in the store: what they are made of may change only
// at the price that conversations from before the change are not found.
//
// It is a SHA-256 over fields that each carry their length or kind, so that what counts as
// different is never written the same way. Nobody can find another user's conversation by it:
// the owner is a part of every key that has a digest (MemoryKey, park.Names).
type Digest [sha256.Size]byte

// A digester hashes a transcript as it grows, message by message and, for the answer that is being streamed,
// piece by piece. It belongs to one goroutine.
//
// Clients don't send an answer back byte for byte: one surface has text and calls in one message and another in
// several, with results in between or after, white space trimmed, arguments formatted differently. So everything
// between two messages of a user or system counts as one group:
//
//	system, user     hashed as they are
//	a group          the text of the model, without white space
//	                 each call (name, canonical arguments) with its result, in sorted order
//
// Some clients rename the calls, so ids only say which result belongs to which call. Thinking is left out, because
// most clients don't send it back. These three are one transcript:
//
//	assistant "I'll look. " + call 1 read {"path":"a"}    tool 1 "x"
//	assistant "I'll look."    assistant call 1 read {"path": "a"}    tool 1 "x"
//	assistant "I'll look." + call 9 read {"path":"a"}     tool 9 "x"
//
// The states of the open group, and what moves it on:
//
//	message(assistant), answerText, call   text and calls grow
//	message(tool)                          results grow
//	message(user or system)                closeGroup: into done, and an empty group is open
//	thinking                               aloud grows
//	sum, bare, aloudSum, asked, clone      nothing moves: they hash a copy of what there is
type digester struct {
	done hash.Hash // groups and messages that are complete

	// The group that is open.
	text hash.Hash // lazily made
	// aloud is text with the thinking that was given, where it was given: some clients send all of it back as text. It is nil
	// as long as there was none.
	aloud hash.Hash
	// They are hashed late because their order does not count, and a result may come long after its call. An agent's group
	// may be all of its transcript, so what is hashed of them is kept: digesters that are clones share it.
	calls []*heldCall
	// A result may come before its call in a transcript that a client has put in order again.
	results []*heldResult

	// known says what calls asked for that the client may have rewritten; nil takes all calls as the client tells them.
	known map[callName]Digest

	cache   *digestCache // nil is none
	scratch []byte       // text without its white space

	// front is the beginning of the answer that is being streamed, as long as it may turn out to be thinking in the form
	// in which clients send it back; then it counts as little as what they send back. settled says that it can't any more.
	front   []byte
	settled bool
}

// A callName is what a call keeps when a client rewrites its arguments.
type callName struct{ id, tool string }

// A heldCall is a call of the open group.
type heldCall struct {
	agent.ToolCall
	cache  *digestCache
	digest Digest // callDigest, once it was asked for
	hashed bool
}

// asks is the digest of what the call asks for.
func (c *heldCall) asks() Digest {
	if !c.hashed {
		c.digest, c.hashed = c.cache.call(&c.ToolCall), true
	}
	return c.digest
}

// A heldResult is a result of the open group.
type heldResult struct {
	*agent.Message
	asked, entry Digest // the last entry that was made with it, and for what
	hashed       bool
}

// entryFor is the entry of a call that asks for asked, with this result.
func (r *heldResult) entryFor(asked Digest) Digest {
	if !r.hashed || r.asked != asked {
		h := sha256.New()
		h.Write(asked[:])
		hashResult(h, r.Message)
		r.asked, r.entry, r.hashed = asked, Digest(h.Sum(nil)), true
	}
	return r.entry
}

// newDigester makes the digester of an empty transcript.
func newDigester() *digester { return &digester{done: sha256.New()} }

// clone is a digester of the same transcript, to which other messages may be added. It belongs to the same goroutine.
func (d *digester) clone() *digester {
	c := *d
	c.done = copyOf(d.done)
	if d.text != nil {
		c.text = copyOf(d.text)
	}
	if d.aloud != nil {
		c.aloud = copyOf(d.aloud)
	}
	c.calls, c.results = slices.Clip(d.calls), slices.Clip(d.results)
	c.scratch, c.front = nil, slices.Clone(d.front)
	return &c
}

// message adds a whole message. m must not be changed until the digester is no longer used:
// results are hashed when their group is closed. Of what the assistant says only the text and
// the calls count.
func (d *digester) message(m *agent.Message) {
	switch m.Role {
	case agent.Assistant:
		for i := range m.Parts {
			d.assistantText(bytesOf(m.Parts[i].Text))
		}
		for i := range m.Calls {
			d.call(m.Calls[i])
		}
	case agent.ToolRole:
		d.results = append(d.results, &heldResult{Message: m})
	default:
		d.closeGroup()
		d.done.Write([]byte{byte(m.Role)})
		hashString(d.done, m.Name)
		hashParts(d.done, m.Parts)
	}
}

// assistantText adds a piece of the answer's text. Pieces may be cut anywhere.
func (d *digester) assistantText(text []byte) {
	if d.trim(text); len(d.scratch) == 0 {
		return
	}
	if d.text == nil {
		d.text = sha256.New()
	}
	d.text.Write(d.scratch)
	if d.aloud != nil {
		d.aloud.Write(d.scratch)
	}
}

// thinking adds a piece of the answer's thinking. It counts for aloudSum alone.
func (d *digester) thinking(text []byte) {
	if d.aloud == nil {
		d.aloud = copyOf(d.text)
	}
	d.trim(text)
	d.aloud.Write(d.scratch)
}

// trim puts text without its white space into scratch.
func (d *digester) trim(text []byte) {
	d.scratch = slices.Grow(d.scratch[:0], len(text))[:len(text)]
	n := 0
	for _, b := range text {
		d.scratch[n] = b // and over it, if it is white space
		if !isSpace(b) {
			n++
		}
	}
	d.scratch = d.scratch[:n]
}

// copyOf is a hash that goes on from where h is, which may be nil.
func copyOf(h hash.Hash) hash.Hash {
	if h == nil {
		return sha256.New()
	}
	same, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // SHA-256 can be copied
	}
	return same
}

// answerText adds a piece of the answer that is being streamed. It differs from assistantText
// in that the text is not known as a whole: whether it begins with thinking (see
// agent.WithoutThinking) may be decided some pieces later.
func (d *digester) answerText(text []byte) {
	if d.settled {
		d.assistantText(text)
		return
	}
	d.front = append(d.front, text...)
	if len(d.front) > maxFront || !agent.ThinkingMayFollow(string(d.front)) {
		d.settle()
	}
}

// maxFront bounds the beginning of an answer that is kept, in bytes. A longer beginning counts
// as text. A client that sends such a text back without its thinking then has another
// transcript, which costs a run from the transcript, and nothing else.
const maxFront = 64 << 10

// settle adds the beginning of the answer. It may be called more than once; what comes after it is text.
func (d *digester) settle() {
	d.assistantText([]byte(agent.WithoutThinking(string(d.front))))
	d.front, d.settled = nil, true
}

// isSpace reports whether a byte is white space that a client may have trimmed.
func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// call adds a call of the answer.
func (d *digester) call(c agent.ToolCall) {
	d.calls = append(d.calls, &heldCall{ToolCall: c, cache: d.cache})
}

// sum is the digest of everything so far. More may be added afterwards. A sum leaves the
// digester as it is: SHA-256's state is read, not ended.
func (d *digester) sum() Digest { return d.with(d.results) }

// bare is sum without the text of the open group: some clients send calls back without what the model has said beside
// them.
func (d *digester) bare() Digest {
	without := *d
	without.text = nil
	return without.sum()
}

// aloudSum is sum with the thinking of the open group as text: what a client sends back that makes one of the other.
func (d *digester) aloudSum() Digest {
	if d.aloud == nil {
		return d.sum()
	}
	copied := *d
	copied.text = d.aloud
	return copied.sum()
}

// asked is the digest of everything so far, but without the results of the open group: a run that waits for some of
// those results is found by it.
func (d *digester) asked() Digest { return d.with(nil) }

// with is the digest of everything so far, with these results for the calls of the open group.
func (d *digester) with(results []*heldResult) Digest {
	whole := sha256.New()
	whole.Write(d.done.Sum(nil))
	d.hashGroup(whole, results)
	return Digest(whole.Sum(nil))
}

// closeGroup adds the open group to what is complete, and opens an empty one.
func (d *digester) closeGroup() {
	d.hashGroup(d.done, d.results)
	d.text, d.aloud, d.calls, d.results = nil, nil, nil, nil
}

// hashGroup writes the open group, with these results, to h; nothing when it is empty.
//
// Its work is linear in the calls and results but for the sort. The sort makes the order of
// parallel calls irrelevant, in which clients do not agree.
func (d *digester) hashGroup(h hash.Hash, results []*heldResult) {
	if d.text != nil {
		h.Write([]byte{byte(agent.Assistant)})
		h.Write(d.text.Sum(nil))
	}
	answers := make(map[string][]*heldResult, len(results)) // by call id, in order: an id may occur again
	for _, r := range results {
		answers[r.CallID] = append(answers[r.CallID], r)
	}
	entries := make([]Digest, 0, len(d.calls))
	for _, c := range d.calls {
		// known stands for what was asked when the client may have changed the arguments; see rewritten.go.
		asked, ok := d.known[callName{c.ID, c.Name}]
		if !ok {
			asked = c.asks()
		}
		mine := answers[c.ID]
		if len(mine) == 0 {
			entries = append(entries, sha256.Sum256(asked[:]))
			continue
		}
		entries = append(entries, mine[0].entryFor(asked))
		answers[c.ID] = mine[1:]
	}
	for _, more := range answers { // results that answer no call of the group
		for _, r := range more {
			entry := sha256.New()
			hashResult(entry, r.Message)
			entries = append(entries, Digest(entry.Sum(nil)))
		}
	}
	slices.SortFunc(entries, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	for i := range entries {
		h.Write([]byte{'c'})
		h.Write(entries[i][:])
	}
}

// callDigest identifies what a call asks for, whatever its id. It is what askedCall, known and
// the guard against repeated calls compare.
func callDigest(c *agent.ToolCall) Digest {
	h := sha256.New()
	h.Write([]byte{'c'})
	hashString(h, c.Name)
	hashBytes(h, canonical(withoutID(c)))
	return Digest(h.Sum(nil))
}

// sameCall reports whether two calls ask for the same, whatever their ids. The bytes are
// compared first, because that is cheap and mostly enough. control gets it as Config.SameCall.
func sameCall(a, b *agent.ToolCall) bool {
	return a.Name == b.Name && (bytes.Equal(a.Arguments, b.Arguments) || callDigest(a) == callDigest(b))
}

// hashResult writes a tool's result to h. A result that the client marks as failed differs from
// one with the same text that is not.
func hashResult(h hash.Hash, m *agent.Message) {
	h.Write([]byte{'r', errorFlag(m)})
	hashParts(h, m.Parts)
}

// withoutID is the call's arguments without a member "id" that equals the call's own id: n8n adds one to what it sends
// back. Ids are random, so an argument of the model's own is never taken for one.
//
// The test for the id's bytes comes first, so that nearly no call is parsed for it.
func withoutID(c *agent.ToolCall) []byte {
	if c.ID == "" || !bytes.Contains(c.Arguments, []byte(c.ID)) {
		return c.Arguments
	}
	var arguments map[string]jsontext.Value
	if json.Unmarshal(c.Arguments, &arguments) != nil {
		return c.Arguments
	}
	var id string
	if json.Unmarshal(arguments["id"], &id) != nil || id != c.ID {
		return c.Arguments
	}
	delete(arguments, "id")
	without, err := json.Marshal(arguments)
	if err != nil {
		return c.Arguments
	}
	return without
}

// errorFlag is 1 when the client says that the tool failed.
func errorFlag(m *agent.Message) byte {
	if m.IsError {
		return 1
	}
	return 0
}

// canonical is the canonical form of a JSON value (RFC 8785), whatever its spelling, with one
// exception: whole numbers keep all their digits. RFC 8785 would round those above 2^53, and
// ids are often larger. Bytes that are not JSON stay as they are. raw is not changed:
// Canonicalize works in place, so it gets a copy. The result may be raw itself, and is only to be read.
func canonical(raw []byte) []byte {
	v := jsontext.Value(slices.Clone(raw))
	if v.Canonicalize(jsontext.CanonicalizeRawInts(false)) != nil {
		return raw
	}
	return v
}

// hashParts writes the parts of a message to h. Every part begins with its kind, so that none can be taken for another.
//
// Images are hashed as the client sent them. Original is the hash of that, kept when the image was
// made smaller (imagefetch), so the digest does not depend on what our own shrinking makes of it.
func hashParts(h hash.Hash, parts []agent.Part) {
	h.Write(binary.AppendUvarint(nil, uint64(len(parts))))
	for _, p := range parts {
		switch {
		case p.Image == nil:
			h.Write([]byte{'t'})
			hashString(h, p.Text)
		case p.Image.URL != "":
			// What a URL returns may differ from one fetch to the next, but the client has sent the URL.
			h.Write([]byte{'u'})
			hashString(h, p.Image.URL)
		case p.Image.Original != nil:
			h.Write([]byte{'i'})
			h.Write(p.Image.Original)
		default:
			sum := sha256.Sum256(p.Image.Data)
			h.Write([]byte{'i'})
			h.Write(sum[:])
		}
	}
}

// hashString writes s with its length before it, so that no two sequences of strings have the same hash.
func hashString(h hash.Hash, s string) { hashBytes(h, bytesOf(s)) }

// hashBytes is hashString for bytes.
func hashBytes(h hash.Hash, b []byte) {
	h.Write(binary.AppendUvarint(nil, uint64(len(b))))
	h.Write(b)
}

// bytesOf is the string's own memory, for what only reads it and keeps nothing, as a hash does. A transcript is megabytes of
// strings, and a copy of each would be most of what hashing costs.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// toolsDigest identifies the tools that a run was opened with, in any order: clients that
// collect them from several servers send them in the order in which these answer. Names,
// descriptions and parameters count; a member's place in the JSON of the parameters does not.
func toolsDigest(tools []agent.Tool, cache *digestCache) Digest {
	h := sha256.New()
	byName := func(a, b agent.Tool) int { return cmp.Compare(a.Name, b.Name) }
	for _, t := range slices.SortedStableFunc(slices.Values(tools), byName) {
		hashString(h, t.Name)
		hashString(h, t.Description)
		parameters := cache.schema(t.Parameters)
		h.Write(parameters[:])
	}
	return Digest(h.Sum(nil))
}
