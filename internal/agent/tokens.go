package agent

// What is counted where upstream doesn't count for us, or not in time. Such counts go with Usage.Estimated.
const (
	// SizePerToken is the usual size of a token of English or of code, in bytes or characters.
	SizePerToken = 4
	// TokensPerImage is about what models charge for an image of moderate size.
	TokensPerImage = 1000
)

// EstimateTokens is about how many tokens a text of the given size is, rounded up.
func EstimateTokens(size int) int64 { return int64(size+SizePerToken-1) / SizePerToken }
