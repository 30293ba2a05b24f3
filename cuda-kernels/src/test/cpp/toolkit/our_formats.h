// our_formats.h: the conversions of portable.cuh, for a file that includes NVIDIA's headers and cannot include both.

#pragma once

#include <stdint.h>

uint16_t our_bf16(float x);
uint16_t our_f16(float x);
uint8_t our_e4m3(float x);
float our_float_of_bf16(uint16_t bits);
float our_float_of_f16(uint16_t bits);
float our_float_of_e4m3(uint8_t bits);
