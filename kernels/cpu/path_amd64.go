package cpu

import "golang.org/x/sys/cpu"

func features() []feature {
	x := &cpu.X86
	return []feature{
		{AVX2, "AVX2", x.HasAVX2},
		{AVX2, "FMA", x.HasFMA},
		{AVX2, "F16C", x.HasF16C},
		{AVX512, "AVX512F", x.HasAVX512F},
		{AVX512, "AVX512DQ", x.HasAVX512DQ},
		{AVX512, "AVX512BW", x.HasAVX512BW},
		{AVX512, "AVX512VL", x.HasAVX512VL},
		{BF16, "AVX512_BF16", x.HasAVX512BF16},
	}
}
