package openai

import "composer-api/internal/agent"

// MaxValues bounds how many objects, arrays and list elements one request may hold. A long conversation with many tools
// holds some ten thousand. Without a bound a body of a few megabytes of "{}" would take a gigabyte once decoded.
const MaxValues = 250_000

// checkValues counts before anything is decoded, and allocates nothing but for deep nesting. It needn't judge whether
// body is valid JSON: the decoder does.
func checkValues(body []byte) error {
	count := 0
	var open []byte // the brackets around the place that is looked at
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '"':
			i = endOfString(body, i)
			continue
		case '{', '[':
			open = append(open, c)
			count++
		case '}', ']':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case ',':
			if len(open) > 0 && open[len(open)-1] == '[' {
				count++
			}
		default:
			continue
		}
		if count > MaxValues {
			return agent.Errorf(agent.InvalidValue, "The request holds more than %d objects, arrays and list elements. Send fewer messages, parts, tools or calls.", MaxValues)
		}
	}
	return nil
}

// endOfString is where the string ends that begins at start: the index of its closing quote.
func endOfString(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(body)
}
