// warp.cpp: operations in which the lanes of a warp exchange values.

#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "block.h"

namespace emulator {

Exchange* Worker::new_exchange() {
    if (free_exchanges_.empty()) {
        exchanges_.push_back(std::make_unique<Exchange>());
        return exchanges_.back().get();
    }
    Exchange* exchange = free_exchanges_.back();
    free_exchanges_.pop_back();
    return exchange;
}

// A lane reads the slots until its next operation. The last reader gives the exchange back.
void Worker::release_exchange(Thread& thread) {
    if (thread.exchange != nullptr && --thread.exchange->readers == 0) {
        free_exchanges_.push_back(thread.exchange);
    }
    thread.exchange = nullptr;
}

const Slot* Worker::exchange(uint32_t mask, const void* value, size_t bytes, Combine combine, const void* context,
                             bool whole_warp, Site site) {
    Thread& self = *current_;
    release_exchange(self);
    if ((mask >> self.lane & 1u) == 0) {
        char text[96];
        snprintf(text, sizeof(text), "lane %u is not in its own mask 0x%08x", self.lane, mask);
        fail(site, text);
    }
    Warp& warp = warps_[self.number / 32];
    Exchange* exchange = nullptr;
    for (Exchange* open : warp.open) {
        if (open->mask == mask) {
            exchange = open;
        }
    }
    if (exchange == nullptr) {
        exchange = new_exchange();
        exchange->mask = mask;
        exchange->arrived = 0;
        exchange->complete = false;
        exchange->whole_warp = whole_warp;
        exchange->combine = combine;
        exchange->context = context;
        exchange->site = site;
        warp.open.push_back(exchange);
    } else if (!same_text(exchange->site.operation, site.operation)) {
        fail(site, "divergent warp: other lanes of the mask are at " + std::string(exchange->site.operation) + " in " +
                       exchange->site.file + ":" + std::to_string(exchange->site.line));
    }
    memcpy(exchange->slots[self.lane].bytes, value, bytes);
    exchange->arrived |= 1u << self.lane;
    self.exchange = exchange;
    if (exchange->arrived == (mask & warp.alive)) {
        self.site = site;
        complete_exchange(warp, *exchange);
        if (random_.coin()) {
            suspend(Thread::State::READY, site);
        }
    } else {
        suspend(Thread::State::IN_EXCHANGE, site);
    }
    return exchange->slots;
}

// Runs in the lane that arrives last, or in one that ends while the others wait for it.
void Worker::complete_exchange(Warp& warp, Exchange& exchange) {
    warp.open.erase(std::find(warp.open.begin(), warp.open.end(), &exchange));
    uint32_t arrived = exchange.arrived;
    if (exchange.whole_warp && arrived != 0xffffffffu) {
        char text[96];
        snprintf(text, sizeof(text), "needs all 32 lanes, but only 0x%08x take part", arrived);
        fail(exchange.site, text);
    }
    exchange.complete = true;
    exchange.readers = static_cast<uint32_t>(__builtin_popcount(arrived));
    size_t base = static_cast<size_t>(&warp - warps_.data()) * 32;
    for (unsigned lane = 0; lane < 32; lane++) {
        if ((arrived >> lane & 1u) == 0) {
            memset(exchange.slots[lane].bytes, 0xff, sizeof(Slot));  // what a shuffle from an absent lane gives
        } else if (threads_[base + lane].state == Thread::State::IN_EXCHANGE) {
            make_ready(threads_[base + lane]);
        }
    }
    if (exchange.combine != nullptr) {
        exchange.combine(exchange.slots, arrived, exchange.context);
    }
}

}  // namespace emulator
