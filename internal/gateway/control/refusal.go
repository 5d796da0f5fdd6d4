package control

import "strings"

// maxRefusal is how long a text may be that only declines, in bytes.
const maxRefusal = 2_000

// declining are how models begin when they decline, in lower case and with straight apostrophes. They
// are English alone; in other languages, a model that declines gives an error as any other text does.
var declining = []string{
	"i'm sorry", "i am sorry", "sorry", "i apologize", "my apologies",
	"i can't", "i cannot", "i can not", "i won't", "i will not", "i'm unable", "i am unable", "i'm not able", "i am not able",
	"unfortunately, i", "i must decline", "i have to decline", "i'd rather not",
}

// declines reports whether an answer plainly declines: a few words that begin like it, and no JSON.
func declines(answer string) bool {
	answer = strings.TrimSpace(answer)
	if len(answer) > maxRefusal || len(jsonValues(answer)) > 0 {
		return false
	}
	answer = strings.ReplaceAll(strings.ToLower(answer), "’", "'")
	for _, beginning := range declining {
		if strings.HasPrefix(answer, beginning) {
			return true
		}
	}
	return false
}
