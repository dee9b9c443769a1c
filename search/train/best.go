package train

import (
	"context"
	"errors"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
)

// Best is the state of a run that validation likes best.
type Best struct {
	Step    int         `json:"step"`
	Verdict net.Verdict `json:"verdict"`
}

// bestSuffix is what stands behind the checkpoint's name in that of the best state's.
const bestSuffix = ".best"

// keeper keeps the best state of a loop, whose Pos.Best says which that is.
type keeper struct {
	judge *net.Judge
	loop  *Loop
	env   net.Env // the best state; nil: the one that the run begins with
	saved int     // step of the state on file
}

// keeps judges the loop's states on a view from where it stands.
func (l *Loop) keeps(ctx context.Context, teach *net.Network, val data.View) error {
	k := &keeper{loop: l, saved: -1}
	var err error
	if k.judge, err = net.NewJudge(l.Be, l.Net, teach, l.settings.Objective, val); err != nil {
		return err
	}
	l.best = k
	switch b := l.Pos.Best; {
	case b == nil:
		return k.look(ctx)
	case b.Step == 0:
		return nil
	case b.Step == l.Pos.Step:
		k.env, err = l.Net.Copy(l.Be, l.Env)
		return err
	default:
		k.env, k.saved = net.Env{}, b.Step
		if err := l.Net.Load(l.Be, k.env); err != nil {
			return err
		}
		_, found, err := loadCheckpoint(l.Be, l.Hooks.Checkpoint+bestSuffix, l.Pos.Run, k.env)
		if err == nil && !found {
			err = errors.New("search: checkpoint: " + l.Hooks.Checkpoint + bestSuffix + ": there is no such file: remove " + l.Hooks.Checkpoint + " to begin anew")
		}
		return err
	}
}

// look judges the state as it is, tells of it, and keeps it if no other was better. When ctx
// ends meanwhile it does as Stop.
func (k *keeper) look(ctx context.Context) error {
	l := k.loop
	if err := l.losses.read(l.Hooks.Stage); err != nil {
		return err
	}
	v, err := k.judge.Of(ctx, l.Env)
	if err != nil {
		if ctx.Err() != nil {
			return l.Stop(ctx)
		}
		return err
	}
	if err := l.tell(v.Loss, v.Score); err != nil {
		return err
	}
	if l.Pos.Best != nil && !v.Better(l.Pos.Best.Verdict) {
		return nil
	}
	l.Pos.Best = &Best{l.Pos.Step, v}
	k.env.Free()
	if k.env = nil; l.Pos.Step > 0 {
		k.env, err = l.Net.Copy(l.Be, l.Env)
	}
	return err
}

// save writes the best state beside the checkpoint that is about to be written.
func (k *keeper) save() error {
	b := k.loop.Pos.Best
	if b == nil || b.Step == 0 || b.Step == k.saved {
		return nil
	}
	k.saved = b.Step
	return saveCheckpoint(k.loop.Hooks.Checkpoint+bestSuffix, Position{Run: k.loop.Pos.Run, Step: b.Step}, k.loop.Net, k.env, true)
}

// weights returns those of the best state.
func (k *keeper) weights() (map[string]*ir.Tensor, error) {
	env := k.env
	if env == nil {
		env = net.Env{}
		if err := k.loop.Net.Load(k.loop.Be, env); err != nil {
			return nil, err
		}
	}
	return k.loop.Net.Weights(env)
}
