//go:build race

package site

// raceDetector says that the tests run with it, and so the binary should.
const raceDetector = true
