package openai

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"composer-api/internal/agent"
	"composer-api/internal/golden"
)

// errorsIntro is what the document says before the table.
const errorsIntro = `# Errors

An error has a status, and a sentence that says what is wrong and what to do about it. Clients of OpenAI's API get it in that API's form:

` + "```json" + `
{"error": {"message": "…", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
` + "```" + `

Clients of Anthropic's API get ` + "`{\"type\":\"error\",\"error\":{\"type\":\"…\",\"message\":\"…\"},\"request_id\":\"…\"}`" + ` with the same sentence. An error after the first word of a streamed answer is an event in the stream, which then
ends without its usual end. Every answer has ` + "`x-request-id`" + `; the server's log has the same id.

"Again" says whether the same request can succeed later. Where it can't, clients are told so (` + "`x-should-retry: false`" + `); where it can, ` + "`retry-after`" + ` may say when.

| status | code | type | again | what it says, unless it can say more |
| --- | --- | --- | --- | --- |
`

// TestTheDocumentNamesEveryError writes docs/errors.md from the table, or compares it with that.
func TestTheDocumentNamesEveryError(t *testing.T) {
	codes := make([]agent.Code, 0, len(rows))
	for code := range rows {
		if code != agent.ConversationLost && code != agent.Canceled { // neither reaches a client
			codes = append(codes, code)
		}
	}
	slices.SortFunc(codes, func(a, b agent.Code) int {
		return cmp.Or(cmp.Compare(rows[a].Status, rows[b].Status), cmp.Compare(a, b))
	})
	var b strings.Builder
	b.WriteString(errorsIntro)
	for _, code := range codes {
		row := rows[code]
		again := "yes"
		if row.Final {
			again = "no"
		}
		name := ""
		if row.Code != "" {
			name = "`" + row.Code + "`"
		}
		fmt.Fprintf(&b, "| %d | %s | `%s` | %s | %s |\n", row.Status, name, row.Type, again, (&agent.Error{Code: code}).UserMessage())
	}
	golden.File(t, "../../../docs/errors.md", b.String())
}
