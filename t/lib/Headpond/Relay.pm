# SPDX-License-Identifier: Apache-2.0
# t/pool/relay, driven from a test: TCP that takes its time, falls silent or is reset.
#
#     my $relay = Headpond::Relay->start(pairs => [['127.0.0.1:0', $origin->{address}]], delay_ms => 40);
#     Headpond::Http::request(url => "http://$relay->{addresses}[0]/acct/data/x");
#     $relay->cut(0);    # pairs by their number, none: all of them
package Headpond::Relay;
use strict;
use warnings;
use File::Temp ();
use IO::Handle ();
use JSON::PP ();
use Headpond::Process;

# pairs => [[where it listens, where that leads], ...], delay_ms (one way), rate (bytes a second).
sub start {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir;
    my @pairs = map { "$_->[0]=$_->[1]" } @{ $o{pairs} };
    pipe my $lines, my $to or die "pipe: $!";
    $to->autoflush(1);
    my $process = Headpond::Process->start(log => "$dir/log", out => "$dir/out", in => $lines,
        command => ["$Headpond::build/t/pool/relay", '--delay', $o{delay_ms} // 0, '--rate', $o{rate} // 0, @pairs]);
    close $lines;
    my $self = bless { process => $process, dir => $dir, to => $to, answers => 0 }, $class;
    my @told;
    Headpond::Process::wait_until(sub { @told = $self->told; @told >= @pairs || !$process->alive }, 20);
    die 'the relay did not start: ' . $process->log_text if @told < @pairs;
    $self->{addresses} = [map { /^listening \d+ (\S+)$/ } @told];
    return $self;
}

# The whole lines it has printed.
sub told {
    my ($self) = @_;
    return Headpond::Process::slurp("$self->{dir}/out") =~ /^(.*)\n/mg;
}

# Says so and waits until it is done; dies when it is refused. Returns what it answers.
sub command {
    my ($self, @words) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $number = @{ $self->{addresses} } + $self->{answers}++;
    print { $self->{to} } "@words\n";
    my @told;
    Headpond::Process::wait_until(sub { @told = $self->told; @told > $number || !$self->{process}->alive }, 20);
    my $answer = $told[$number] // 'no answer';
    die "relay: @words: $answer" if $answer !~ /^(?:ok$|\{)/;
    return $answer;
}

sub delay { my ($self, $ms, @pairs) = @_; return $self->command('delay', $ms, @pairs) }
sub rate { my ($self, $bytes, @pairs) = @_; return $self->command('rate', $bytes, @pairs) }
sub cut { my ($self, @pairs) = @_; return $self->command('cut', @pairs) }
sub reset { my ($self, @pairs) = @_; return $self->command('reset', @pairs) }
sub join { my ($self, @pairs) = @_; return $self->command('join', @pairs) }

# connections, open, to_target, to_client (bytes that have arrived); and of each of `pairs` these, state and delay_ms.
sub stats { my ($self) = @_; return JSON::PP::decode_json($self->command('stats')) }

# It ends with what it is told; its wait status.
sub stop {
    my ($self) = @_;
    close delete $self->{to};
    return $self->{process}->wait_end(10) // $self->{process}->stop_now;
}

1;
