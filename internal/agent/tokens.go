package agent

// Estimates for where upstream doesn't count, or not in time. They are marked with Usage.Estimated.
const (
	// SizePerToken is the usual size of a token of English or of code, in bytes or characters.
	SizePerToken = 4
	// TokensPerImage is about what models charge for an image of moderate size.
	TokensPerImage = 1000
)

// sizePerFileText is how many bytes a file is about for each byte of its text, which isn't read for an estimate.
const sizePerFileText = 10

// EstimateTokens estimates the tokens of a text of the given size, rounded up. 0 stays 0.
func EstimateTokens(size int) int64 { return int64(size+SizePerToken-1) / SizePerToken }

// EstimatePrompt estimates the tokens of req's conversation and tools. It reads no file: of
// one, the size alone counts.
func EstimatePrompt(req *Request) int64 {
	size, images := 0, 0
	for i := range req.Messages {
		for _, p := range req.Messages[i].Parts {
			size += len(p.Text)
			if p.Image != nil {
				images++
			}
			if p.File != nil {
				size += len(p.File.Data) / sizePerFileText
			}
		}
		for _, c := range req.Messages[i].Calls {
			size += len(c.Name) + len(c.Arguments)
		}
	}
	for _, tool := range req.Tools {
		size += len(tool.Name) + len(tool.Description) + len(tool.Parameters)
	}
	return EstimateTokens(size) + int64(images)*TokensPerImage
}
