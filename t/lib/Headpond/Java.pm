# SPDX-License-Identifier: Apache-2.0
# Clients in Java, from their sources beside the tests: each run is a Java of its own, with the jars that contrib/clients
# fetches, where names under localhost resolve and the tests' certificate is believed.
package Headpond::Java;
use strict;
use warnings;
use File::Temp ();
use Headpond::Process;

# What Spark asks of Java 17, as its own launcher gives it.
my @opens = map { "--add-opens=java.base/$_=ALL-UNNAMED" } qw(java.lang java.lang.invoke java.net java.nio java.util java.util.concurrent
    java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar);

my ($dir, $password) = (undef, 'changeit');

sub jars { return $ENV{HEADPOND_JARS} // die "HEADPOND_JARS names no folder of jars; contrib/clients sets it\n" }

sub prepare {
    return if $dir;
    $dir = File::Temp->newdir;
    system("keytool -importcert -noprompt -alias test -file '$Headpond::tls{certificate}' -keystore '$dir/trust' "
        . "-storetype PKCS12 -storepass $password 2>'$dir/log'") == 0
        or die "keytool could not make a trust store\n";
}

# Runs t/clients/NAME.java to its end, host => a name that is 127.0.0.1 to it. The wait status, what it printed and what it
# complained of.
sub run {
    my ($name, $host, @arguments) = @_;
    prepare();
    open my $hosts, '>', "$dir/hosts" or die;
    print $hosts "127.0.0.1 localhost $host\n";
    close $hosts;
    return Headpond::Process->run(
        command => ['java', @opens, "-Djdk.net.hosts.file=$dir/hosts", "-Djavax.net.ssl.trustStore=$dir/trust",
            "-Djavax.net.ssl.trustStorePassword=$password", "-Djava.io.tmpdir=$dir", '-cp', jars() . '/*',
            "$Headpond::source/t/clients/$name.java", @arguments],
        env => { SPARK_LOCAL_IP => '127.0.0.1' }, seconds => 600);
}

1;
