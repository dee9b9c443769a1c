package train

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/net"
)

// losses adds up what weight steps report. Results stay on the device until they are
// read, so that a step does not wait for the one before it.
type losses struct {
	unread []reading
	// Since the last event: loss is summed over seen samples, correct counts the right
	// ones of counted labels.
	loss, correct, seen, counted float64
}

// reading is the result of one micro-batch, whose loss and counts are shares of its step's.
type reading struct {
	step             int
	loss, correct    engine.Buffer // correct is nil without labels
	samples, counted float64
}

// add takes the loss and the correct ones out of a program's outputs.
func (s *losses) add(r reading, out net.Env) {
	r.loss, r.correct = out[net.LossName], out[net.CorrectName]
	delete(out, net.LossName)
	delete(out, net.CorrectName)
	s.unread = append(s.unread, r)
}

// read waits for what is unread and frees it. A loss that is not finite is an error that
// wraps ErrDiverged.
func (s *losses) read(stage string) error {
	for _, r := range s.unread {
		loss, err := net.Scalar(r.loss)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("%s: step %d: %w (%g): lower the learning rate or clip gradients", stage, r.step, ErrDiverged, loss)
		}
		s.loss += loss * r.samples
		s.seen += r.samples
		r.loss.Free()
		if r.correct == nil {
			continue
		}
		c, err := net.Scalar(r.correct)
		if err != nil {
			return err
		}
		s.correct += c
		s.counted += r.counted
		r.correct.Free()
	}
	s.unread = s.unread[:0]
	return nil
}

// take returns the means of what was read since it was last called.
func (s *losses) take() (loss, accuracy float64) {
	loss, accuracy = s.loss/s.seen, s.correct/max(s.counted, 1)
	s.loss, s.correct, s.seen, s.counted = 0, 0, 0, 0
	return loss, accuracy
}
