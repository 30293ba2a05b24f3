// our_formats.cpp: see our_formats.h.

#include "our_formats.h"

#include "portable.cuh"

uint16_t our_bf16(float x) { return to_bf16(x).bits; }
uint16_t our_f16(float x) { return to_f16(x).bits; }
uint8_t our_e4m3(float x) { return to_e4m3(x).bits; }
float our_float_of_bf16(uint16_t bits) { return to_float(bf16{bits}); }
float our_float_of_f16(uint16_t bits) { return to_float(f16{bits}); }
float our_float_of_e4m3(uint8_t bits) { return to_float(e4m3{bits}); }
